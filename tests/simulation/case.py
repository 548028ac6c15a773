"""A case: what the oracle judges together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.simulation.ledger import Ledger, Told
from tests.simulation.standing import Lost, Seen, Standing


@dataclass(frozen=True)
class Case:
    """What people did and were answered, the server's rows, and what the devices hold."""

    ledger: Ledger
    server: Standing
    devices: Sequence[Seen]

    def accepted(self) -> Mapping[str, Told]:
        """The mutations that took effect, in the order they were told."""
        return {uid: told for uid, told in self.ledger.told.items() if told.accepted}

    def superseded(self) -> Sequence[Lost]:
        """The losing values that are listed, or were until they were too old."""
        return [*self.server.superseded, *self.ledger.let_go]
