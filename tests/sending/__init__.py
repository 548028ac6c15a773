"""Tests of what the tenant issues: numbers, files, receipts, and the two ways to the SDI."""
