"""The audit at the end: what the server says of itself, through its public API and its command line, written down."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import anyio

from tests.demo.evidence import AUDIT_FILE
from tests.demo.machines import Installation
from tests.demo.observer import Observer, Sender, verdicts_again
from tests.demo.stage import OFFICE, Stage


async def take_audit(stage: Stage) -> None:
    """Look at everything from outside, once all is quiet, and write it down."""
    async with Observer(stage.server.url, stage.tokens[OFFICE]) as office:
        await office.pull()
    verdicts: dict[str, Mapping[str, Any]] = {}
    for name, client in stage.clients.items():
        verdicts |= await verdicts_again(stage.server.url, Sender(client.journal, stage.tokens[name]))
    deliveries, events, refusals = await _lists(stage)
    said = {
        "records": list(office.records.values()),
        "verdicts": verdicts,
        "deliveries": _by_state(deliveries),
        "events": _by_state(events),
        "refused": sum(one["times"] for one in refusals),
    }
    async with await anyio.open_file(stage.folder / AUDIT_FILE, "w") as file:
        await file.write(json.dumps(said, ensure_ascii=False, indent=1))


async def _lists(stage: Stage) -> list[Any]:
    """Deliveries, events and refusals as the command line lists them; three commands at once."""
    commands = (("outbox", "list", "--limit", "10000"), ("inbox", "list"), ("inbox", "list", "--refused"))
    listed: list[Any] = [None] * len(commands)

    async def ask(place: int, command: Sequence[str]) -> None:
        listed[place] = await stage.installation.command(*command, "--tenant", stage.tenant_id)

    async with anyio.create_task_group() as tasks:
        for place, command in enumerate(commands):
            tasks.start_soon(ask, place, command)
    return listed


async def list_waiting(installation: Installation, tenant_id: str) -> list[Any]:
    """Deliveries that have not come to their end."""
    states = ("--state", "pending", "--state", "leased")
    listed: list[Any] = await installation.command("outbox", "list", "--tenant", tenant_id, *states)
    return listed


def _by_state(listed: Iterable[Mapping[str, Any]]) -> Mapping[str, int]:
    return Counter(one["state"] for one in listed)
