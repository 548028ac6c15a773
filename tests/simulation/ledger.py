"""The ledger: what people did and what the server answered, written down at the server's door.

It is the oracle's memory of what was accepted. Where the server's history is set back, the ledger is set back with it:
what was answered in a history that never happened binds nobody, but the mutations were made and must come again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.simulation.standing import Key, Lost, require

_SAME = ("status", "version", "code", "message", "conflict_id", "superseded", "clamped")


class Moment(NamedTuple):
    """When something was answered: the latest timestamp to be believed, and the epoch, where the answer names it.

    `asked_in` is the epoch that the request names: what is judged is judged in that one, and the answer names another
    where a rewind was noticed between the push and the pull.
    """

    limit: str
    epoch: str | None
    asked_in: str | None = None


class Told(NamedTuple):
    """A mutation as it was sent when it got its verdict, and under which author.

    `limit` is the latest timestamp the server should have believed then, `epoch` the one it stood in.
    """

    author: str
    mutation: Mapping[str, Any]
    verdict: Mapping[str, Any]
    limit: str
    epoch: str

    @property
    def key(self) -> Key:
        """The record it names."""
        return self.mutation.get("collection", ""), self.mutation.get("record_id", "")

    @property
    def accepted(self) -> bool:
        """Whether it took its effect, or part of it."""
        return self.verdict["status"] in {"applied", "merged", "conflict"}


@dataclass
class Ledger:
    """`made` are the mutations people queued: uid to device; `told` the first verdict of each, in order.

    `late` had to wait for their record. `lost` went with a device that was set back. `refused` were rejected in
    whatever history: their author has them in "Da controllare" and does not send them again. `forgotten` and `let_go`
    are the verdicts and the losing values that were older than the retention. `lift` gives a mutation in the words of
    the server that judges it.
    """

    made: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    told: dict[str, Told] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    let_go: list[Lost] = field(default_factory=list)
    epoch: str = ""
    lift: Callable[[dict[str, Any]], dict[str, Any]] = dict

    def copy(self) -> dict[str, Told]:
        """What was answered up to now: it goes with a copy of the server's file."""
        return dict(self.told)

    def restore(self, told: dict[str, Told]) -> None:
        """The server's file was set back."""
        self.told = dict(told)

    def answered(
        self, author: str, mutations: Iterable[Mapping[str, Any]], verdicts: Iterable[Any], at: Moment
    ) -> None:
        """Note an answer's verdicts; each must be the first about its mutation, or the same as the first."""
        self.epoch = at.epoch or self.epoch
        sent = {mutation["uid"]: mutation for mutation in mutations}
        for verdict in verdicts:
            uid = verdict["uid"]
            if verdict["status"] == "rejected":
                self.refused.add(uid)
            first = self.told.get(uid)
            if first is None:
                require("one verdict", not verdict["duplicate"], f"{uid} is told again, and never was told")
                self.told[uid] = Told(author, sent[uid], verdict, at.limit, at.asked_in or self.epoch)
            elif verdict["code"] == "verdict_expired" and uid in self.forgotten:
                continue  # its author looks at it; what it did stays done
            elif first.verdict["status"] == "waiting" != verdict["status"]:
                if self.created(first.key):  # else by a request of the same transaction, whose answer is noted next
                    self.ended(uid, verdict, at)
            else:
                require("one verdict", verdict["duplicate"] or uid in self.late, f"{uid} was judged twice")
                same = all(first.verdict[name] == verdict[name] for name in _SAME)
                require("one verdict", same, f"{uid}: {first.verdict} became {verdict}")

    def waiting(self) -> list[str]:
        """Mutations that were told to wait, in the order they came."""
        return [uid for uid, told in self.told.items() if told.verdict["status"] == "waiting"]

    def created(self, key: Key) -> bool:
        """Whether a record's creation was accepted; a conflict is created by whoever clashes."""
        if key[0] == "conflicts":
            return any(told.verdict["conflict_id"] == key[1] for told in self.told.values())
        return any(told.key == key and told.mutation["op"] == "create" for told in self.told.values() if told.accepted)

    def ended(self, uid: str, verdict: Mapping[str, Any], at: Moment) -> None:
        """A mutation waits no longer; its place in the order is here. Who names a record has seen its creation."""
        if verdict["status"] == "rejected":
            self.refused.add(uid)
        first = self.told.pop(uid)
        base = first.mutation.get("base_version", 0) if first.mutation.get("epoch") == self.epoch else 1
        mutation = self.lift({**first.mutation, "base_version": max(1, base), "epoch": self.epoch})
        self.told[uid] = Told(first.author, mutation, verdict, at.limit, self.epoch)
        self.late.add(uid)
