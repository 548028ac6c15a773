"""The PWA's client library against this server: types that do not drift, and what is sent and taken."""
