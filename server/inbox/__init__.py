"""The inbox: takes in what providers tell us, keeps it raw, and makes records of it, each event once."""
