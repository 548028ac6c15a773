"""Web push: what people want to know becomes messages to their devices, by way of the outbox.

Rules:

1. What was noticed is kept in the transaction that found it out (`notices`), a row for each device that wants it and
   whose person may see it. Nothing else of web push happens there.
2. What waits for a device is composed when its burst is over and nobody there wants quiet (`composing`): several of a
   kind are one message, made of what still holds by then. The message and the end of its notices are one transaction.
3. A message is a delivery like any other: the relay sends it, retries it, and holds it back where the push service
   says so. Where to and encrypted for whom is looked up at each attempt (`subscriptions`): no secret is in a payload.
4. Whoever is let in no more is told no more, from that moment on.
"""
