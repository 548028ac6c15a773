"""Reconciliation: closings compared with the sales that arrived, and receipt numbers that were used twice."""
