"""Alarms: log lines with `alarm=True`. They are counted for `/metrics`, and kept until whoever tells people takes them.

Logs belong to the process, and so does this: one set-up, one place to drain. Only the line's event and its tenant are
kept; both come from our own code.
"""

import threading
from collections import Counter
from collections.abc import MutableMapping
from typing import Any, NamedTuple

from server import meters

NOBODY = "00000000-0000-0000-0000-000000000000"
"""Whose alarm it is that concerns no tenant."""

_MOST_KEPT = 1_000


class Alarm(NamedTuple):
    """What alarmed."""

    tenant_id: str
    event: str


class Alarms:
    """Alarms since they were last drained."""

    def __init__(self) -> None:
        """None yet."""
        self._lock = threading.Lock()  # work in transactions logs from the database's threads
        self._raised: Counter[Alarm] = Counter()

    def note(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A processor of the log: look, and pass on."""
        if event.get("alarm") is True:
            meters.ALARMS.labels(str(event["event"])).inc()
            alarm = Alarm(str(event.get("tenant_id", NOBODY)), str(event["event"])[:64])
            with self._lock:
                if alarm in self._raised or len(self._raised) < _MOST_KEPT:
                    self._raised[alarm] += 1
        return event

    def drain(self) -> dict[Alarm, int]:
        """What was raised since the last time, and how often."""
        with self._lock:
            raised, self._raised = self._raised, Counter()
        return dict(raised)

    def put_back(self, raised: dict[Alarm, int]) -> None:
        """What was drained could not be stored."""
        with self._lock:
            self._raised.update(raised)


ALARMS = Alarms()
