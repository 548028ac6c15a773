"""What a backup says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Reached(NamedTuple):
    """How far a client's queue is in the backup, in its tenant's epoch."""

    tenant_id: str
    epoch: str
    client_id: str
    last_mutation_id: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The schema's revision, how many rows each table has, and what clients it covers."""

    revision: str
    rows: Mapping[str, int]
    reached: Sequence[Reached]
