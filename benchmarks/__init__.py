"""What rientro costs, beside the raw databases in the same run. Nothing here asserts a time."""
