"""Traces: the way of a mutation, of something a provider told, or of all that one request brought about.

What is known is in the tables that did the work; nothing is written for tracing. A mutation's deliveries are found by
the time in their ids, through the primary key; only a correlation id is searched for through a merchant's whole outbox.
"""
