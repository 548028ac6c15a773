"""Adapters to the outside world, one package a vendor; each knows the ports of the server and no other provider."""
