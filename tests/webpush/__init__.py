"""Web push: noticed, composed, sent, and decrypted by a push service that is not ours."""
