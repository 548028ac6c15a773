"""Alerts: a signed message to the owner when something wants a person, told once however many processes see it.

Rules:

1. What is seen is derived from the database at each look, except for alarms, which each process brings from its log.
2. One row an alert, from when it was first seen until it was not seen for an hour: what comes and goes is told once.
3. Who is about to tell an alert first moves its `next_at` on, in one statement: no other process tells it. If the
   message is not taken, that time passes and it is told again, under the same id: at least once, never lost.
4. It is told again when there is more of it, at most every quarter of an hour, and once a day while it lasts.
5. A message holds ids, stable codes, counts and times. Names, texts and payloads stay in the database.
"""
