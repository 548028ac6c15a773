"""Column types, migrations and databases."""
