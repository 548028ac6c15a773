"""Taking an answer in: verdicts, page, cursor and identity change together, in one transaction, or not at all.

Rules:

1. An answer to a request made under another client id or epoch is void: its verdicts are of a history that is not ours.
2. Verdicts first, then who we are (epoch, client id), then the page.
3. A page is written only where it goes on from the stored cursor; it never touches the queue.
4. A reset and a new epoch fill a second copy, shown when its round has ended. A lost bucket's records go at once.
5. A digest is looked at (`check`) where it can agree: not while mutations are under way, for there is more to come.
"""

from typing import NamedTuple

from sync.client.answer import Answer
from sync.client.base import Base
from sync.client.check import Check
from sync.client.database import Meta
from sync.client.errors import ForkedError, NumberingError
from sync.client.queue import Queue
from sync.client.recovery import Recovery
from sync.client.runtime import Runtime
from sync.client.servertime import learn_time, now_text
from sync.clock import decode_instant, encode_instant

JOURNAL_MS = 30 * 24 * 60 * 60 * 1000


class Outgoing(NamedTuple):
    """What goes into a request. `mutations` are JSON texts; `starts_round`: it asks for a round's first page.

    `resume_from`: the journal has not all of what comes before this number.
    """

    client_id: str
    epoch: str | None
    cursor: str | None
    mutations: list[str]
    starts_round: bool
    resume_from: int | None = None


class Taken(NamedTuple):
    """What an answer brought: how many verdicts and changes, and whether pages are still to come.

    `renumbered`: the queue was numbered anew, or the answer came too late to count; send again at once. `too_old`: the
    server keeps its pages from this app until it is updated.
    """

    verdicts: int
    changes: int
    more: bool
    renumbered: bool = False
    too_old: bool = False


VOID = Taken(0, 0, more=True, renumbered=True)


class Taking:
    """Takes answers in, inside the store's transactions."""

    def __init__(self, base: Base, queue: Queue, recovery: Recovery, runtime: Runtime) -> None:
        """All of them share the store's connection."""
        self._base, self._queue, self._recovery, self._runtime = base, queue, recovery, runtime
        self._check = Check(base, runtime)

    def take(self, meta: Meta, sent: Outgoing, answer: Answer, sent_ms: int, received_ms: int) -> Taken:
        """An answer to a request."""
        if not _same_client(meta, sent):
            return VOID
        learn_time(meta, answer["server_time"], sent_ms, received_ms)
        verdicts = self._queue.settle(answer["verdicts"], answer["server_time"])
        fits = _fits(meta, sent, answer)
        renumbered = self._follow(meta, answer)
        too_old = answer.get("too_old", False)
        changes = self._turn_page(meta, answer) if fits and not too_old else 0
        if fits and not too_old and not sent.mutations:
            told = answer.get("digest")
            self._check.compare(meta, told)
            if told is not None and meta.building_side is None and not renumbered:
                # This is all there is: what was taken and did not come back was deleted so long ago that none tells.
                self._queue.leave_lost(meta, {bucket["collection"] for bucket in told})
        if meta.resume_from is not None and answer["last_mutation_id"] >= meta.resume_from:
            meta.resume_from = None
        self._queue.leave_view(meta)
        if not renumbered:  # what it says of a backup is about the numbers as they were
            self._prune(meta, answer)
        more = (meta.in_round or meta.building_side is not None) and not too_old
        return Taken(verdicts, changes, more, renumbered, too_old)

    def take_numbering(self, meta: Meta, sent: Outgoing, error: NumberingError) -> Taken:
        """Trouble about numbers: keep the verdicts so far, and number what remains as the server wants it."""
        if not _same_client(meta, sent):
            return VOID
        verdicts = self._queue.settle(error.verdicts, now_text(meta, self._runtime.clock_ms()))
        if isinstance(error, ForkedError) or error.last_mutation_id > meta.last_issued:
            self._recovery.take_new_client(meta, self._runtime.uuid7())
        else:
            self._recovery.resume(meta, error.last_mutation_id + 1)
        self._queue.leave_view(meta)
        return Taken(verdicts, 0, more=True, renumbered=True)

    def _follow(self, meta: Meta, answer: Answer) -> bool:
        """Follow the server into a new epoch, away from an id somebody else uses, or back to what it forgot.

        Whether that renumbered the queue.
        """
        epoch, last = answer["epoch"], answer["last_mutation_id"]
        rewound = meta.epoch is not None and epoch != meta.epoch
        if meta.epoch is None:
            meta.epoch = meta.base_epoch = epoch
        copied, forgotten = last > meta.last_issued, last < self._queue.last_taken(meta)
        if rewound:
            self._recovery.begin_epoch(meta, epoch, last)
            self._base.start_rebuild(meta)
        if copied:
            self._recovery.take_new_client(meta, self._runtime.uuid7())
        elif forgotten and not rewound:  # a rewind that nobody noticed, or not yet
            self._recovery.resume(meta, last + 1)
        return rewound or copied or forgotten

    def _turn_page(self, meta: Meta, answer: Answer) -> int:
        if answer["reset"]:
            self._base.start_rebuild(meta)
        self._base.drop(answer["dropped"])
        self._base.write(meta, answer["changes"])
        for change in answer["changes"]:
            if change.get("erased"):
                self._queue.forget(change["collection"], change["record_id"])
        if answer["dropped"]:
            self._queue.leave_lost(meta, {bucket["collection"] for bucket in answer["dropped"]})
        if not meta.in_round:
            meta.round_head = answer["head"]
        meta.cursor, meta.in_round = answer["cursor"], answer["more"]
        if not answer["more"]:
            meta.head = meta.round_head
        if not answer["more"] and meta.building_side is not None:
            self._base.swap(meta)
            self._queue.join_view()
        return len(answer["changes"])

    def _prune(self, meta: Meta, answer: Answer) -> None:
        safe = answer["safe_mutation_id"] or 0
        if safe > meta.safe_mutation_id:
            meta.safe_mutation_id = safe
            self._queue.prune(meta, encode_instant(decode_instant(answer["server_time"]) - JOURNAL_MS))


def _same_client(meta: Meta, sent: Outgoing) -> bool:
    return (meta.client_id, meta.epoch) == (sent.client_id, sent.epoch)


def _fits(meta: Meta, sent: Outgoing, answer: Answer) -> bool:
    """Whether the page goes on from where this client stands: another process may have turned it already."""
    if meta.cursor != sent.cursor:
        return False
    return answer["reset"] or sent.cursor is None or answer["epoch"] == meta.epoch
