"""Field policies: how two writers who did not see each other become one value.

A policy is data, carried as `Annotated` metadata beside the field it governs and read by `sync.collection`;
`sync.merging` is the one place that acts on it. Only writes the mutation has not *seen* are concurrent, whatever the
policy.
"""

from dataclasses import dataclass
from typing import Literal

PolicyName = Literal["immutable", "last_writer", "counter", "tag_set", "manual", "server_owned"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of a field under concurrent writers."""

    name: PolicyName


IMMUTABLE = Policy("immutable")
"""Set at creation; a later write that differs is rejected and kept."""

LAST_WRITER = Policy("last_writer")
"""The later timestamp wins, field by field; the loser is recorded."""

COUNTER = Policy("counter")
"""Exact deltas add up; never set, starts at zero."""

TAG_SET = Policy("tag_set")
"""An add wins over a remove that did not see it."""

MANUAL = Policy("manual")
"""The stored value stays and a conflict opens for a person to decide."""

SERVER_OWNED = Policy("server_owned")
"""Written by the server only; a client's write is rejected."""
