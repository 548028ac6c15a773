"""Busy endpoints: which have work in a queue, outbox or inbox, and when the first of it is due; of all tenants.

One probe of the queue's index for each busy endpoint, whatever its backlog: a loose scan, and the head of each.
"""

from server.storage.statement import Statement

_TEXT = """/* across tenants */ WITH RECURSIVE busy(endpoint_id) AS (
         SELECT (SELECT endpoint_id FROM {queue} WHERE state IN ('pending', 'leased') ORDER BY endpoint_id LIMIT 1)
         UNION ALL
         SELECT (SELECT q.endpoint_id FROM {queue} AS q WHERE q.state IN ('pending', 'leased')
                 AND q.endpoint_id > busy.endpoint_id ORDER BY q.endpoint_id LIMIT 1)
         FROM busy WHERE busy.endpoint_id IS NOT NULL),
       heads(endpoint_id, tenant_id, due_at) AS (
         SELECT endpoint_id,
           (SELECT q.tenant_id FROM {queue} AS q WHERE q.state IN ('pending', 'leased')
            AND q.endpoint_id = busy.endpoint_id ORDER BY q.next_attempt_at LIMIT 1),
           (SELECT q.next_attempt_at FROM {queue} AS q WHERE q.state IN ('pending', 'leased')
            AND q.endpoint_id = busy.endpoint_id ORDER BY q.next_attempt_at LIMIT 1)
         FROM busy WHERE busy.endpoint_id IS NOT NULL)
       SELECT e.tenant_id, e.endpoint_id, e.provider, heads.due_at, e.not_before,
         (SELECT g.ready_ms FROM gates AS g WHERE g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id),
         e.settings{more}
       FROM heads {join} WHERE NOT e.paused"""
_JOIN_LITE = "JOIN endpoints AS e ON e.tenant_id = heads.tenant_id AND e.endpoint_id = heads.endpoint_id"
# PostgreSQL takes the recursion for a thousand endpoints and would read all of the table for them.
_JOIN_POST = """CROSS JOIN LATERAL (SELECT * FROM endpoints AS one WHERE one.tenant_id = heads.tenant_id
       AND one.endpoint_id = heads.endpoint_id LIMIT 1) AS e"""


def busy_endpoints(queue: str, more: str = "") -> Statement:
    """Rows of tenant, endpoint, provider, due at, not before, gate ready ms, settings, and of `more`, SQL about `e`.

    `queue` is the table's name. What is paused is left out.
    """
    further = f", {more}" if more else ""
    return Statement(
        _TEXT.format(queue=queue, more=further, join=_JOIN_LITE),
        postgresql=_TEXT.format(queue=queue, more=further, join=_JOIN_POST),
    )
