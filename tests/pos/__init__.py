"""Points of sale of vendors: told, asked, and each sale once."""
