"""Who may come in: tenants, their shops, and devices with a token each."""
