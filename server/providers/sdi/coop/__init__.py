"""SDICoop: the SDI itself over SOAP 1.1 and mutual TLS, without an intermediary."""
