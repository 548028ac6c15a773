"""A webhook is acknowledged whatever state the provider is in: receiving asks nobody."""

import anyio

from server.ports import WebhookEvent
from tests.inbox.mailroom import Mailroom, scripted


async def test_webhooks_are_acknowledged_while_every_fetch_hangs(room: Mailroom) -> None:
    """All places of the processor are taken by fetches that never end; what comes in is stored, and waits."""
    hanging, source = anyio.Event(), scripted(room)

    async def hang(_event: WebhookEvent) -> None:
        if len(source.fetched) == 4:
            hanging.set()
        await anyio.sleep_forever()

    source.fetching = hang
    address = await room.add("scripted", {}, {})
    for number in range(4):
        await room.tell(address, f"before {number}", "Rossi")
    async with anyio.create_task_group() as working:
        working.start_soon(room.processor(parallel=4, per_endpoint=4).run)
        with anyio.fail_after(20):
            await hanging.wait()
            outcomes = [(await room.tell(address, f"e{number}", "Rossi")).outcome for number in range(30)]
        assert outcomes == ["stored"] * 30
        assert len(source.fetched) == 4
        assert await room.states() == {"leased": 4, "pending": 30}
        working.cancel_scope.cancel()
    assert await room.states() == {"pending": 34}
