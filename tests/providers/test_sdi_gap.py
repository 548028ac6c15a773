"""A day without contact with an SDI account is told, and is over with the first call that gets through."""

from server.ops.accounts import tenants_accounts
from server.ops.alerts.conditions import Seen, conditions
from server.storage.database import Tx
from tests.inbox.mailroom import Mailroom
from tests.inbox.post import polling
from tests.providers import test_fic
from tests.providers.test_fic import tell
from tests.support.fic import Fic

outbound, served_fic, fic, room = test_fic.outbound, test_fic.served_fic, test_fic.fic, test_fic.room
HOUR_S = 3600


async def silent(room: Mailroom) -> list[Seen]:
    """Which accounts are told to be silent now."""

    async def work(tx: Tx) -> list[Seen]:
        accounts = await tenants_accounts(tx, room.shop.tenant_id)
        seen = conditions(accounts, room.shop.clock(), 3600 * 1000)
        return [one for one in seen if one.kind == "silent"]

    return await room.shop.database.read(work)


async def test_a_day_without_contact_is_told_until_there_is_some(room: Mailroom, fic: Fic) -> None:
    """Polls that fail are no contact; the first that gets through is."""
    await polling(room).poll_due()
    fic.answer_with.extend([503] * 40)
    for _ in range(23):
        await room.pass_time(HOUR_S + 60)
        await polling(room).poll_due()
    assert await silent(room) == []
    await room.pass_time(HOUR_S + 60)
    await polling(room).poll_due()
    assert [(one.subject, one.value) for one in await silent(room)] == [(room.endpoints["fattureincloud"], 24)]
    fic.answer_with.clear()
    await room.pass_time(HOUR_S + 60)
    await polling(room).poll_due()
    assert await silent(room) == []


async def test_a_webhook_is_contact_too(room: Mailroom, fic: Fic) -> None:
    """Who is told something has not lost the account."""
    await room.pass_time(25 * HOUR_S)
    assert len(await silent(room)) == 1
    await tell(room, fic, 1, event_type="it.fattureincloud.webhooks.subscriptions.welcome")
    assert await silent(room) == []
