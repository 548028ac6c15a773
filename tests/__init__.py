"""The tests of rientro; helpers they share are in tests/support."""
