"""The kernel: what a mutation does to a record, as pure functions over plain data.

It imports the standard library and pydantic only. It has no clock, no randomness, no database and no network of its
own: whoever calls it brings the time, the records and the keys. `sync.client` is the one part that does I/O.
"""
