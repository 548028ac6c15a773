"""A case: what the oracle judges together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.simulation.ledger import Ledger, Told
from tests.simulation.standing import Seen, Standing


@dataclass(frozen=True)
class Case:
    """What people did and were answered, the server's rows, and what the devices hold."""

    ledger: Ledger
    server: Standing
    devices: Sequence[Seen]

    def accepted(self) -> Mapping[str, Told]:
        """The mutations that took effect, in the order they were told."""
        return {uid: told for uid, told in self.ledger.told.items() if told.accepted}
