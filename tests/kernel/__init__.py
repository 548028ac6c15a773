"""Tests of the kernel: no database and no network, only what it promises about plain data."""
