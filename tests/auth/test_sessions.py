"""Sessions: refresh tokens are good once, an answer that was lost is given again, a copied one ends it all."""

import pytest

from server.auth.errors import AccessError
from server.auth.sessions import LIFE_MS
from server.auth.tokens import Refresh, RefreshTokens
from server.credentials.vault import REFRESH
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.auth.desk import NOBODY, Desk, desk_of

FIRST, SECOND, THIRD = ("attempt-number-one-", "attempt-number-two-", "attempt-number-three")

_PUT_BACK = Statement(
    "UPDATE sessions SET generation = 0, attempt_hash = NULL WHERE tenant_id = :tenant_id AND session_id = :session_id"
)


async def refused(desk: Desk, token: str, attempt: str) -> str | None:
    """The code a refresh is refused with, if it is."""
    try:
        await desk.sessions.refresh(token, attempt, NOBODY)
    except AccessError as error:
        return error.code
    return None


async def device(desk: Desk) -> str:
    """A till's id."""
    return (await desk.shop.admin.add_device(desk.shop.tenant_id, "Cassa 1", "terminal", "centro")).device_id


async def test_a_refresh_gives_the_next_token_and_lets_in(desk: Desk) -> None:
    """Again and again, each token once."""
    issued = await desk.sign_in(await device(desk))
    seen = {issued.refresh_token}
    for count in range(5):
        issued = await desk.sessions.refresh(issued.refresh_token, f"attempt-{count:016}", NOBODY)
        seen.add(issued.refresh_token)
        assert await desk.is_let_in(issued.access_token)
    assert len(seen) == 6


async def test_an_answer_that_was_lost_is_given_again(desk: Desk) -> None:
    """To the attempt that asked, however late, and as often as it asks; another process does the same."""
    issued = await desk.sign_in(await device(desk))
    lost = await desk.sessions.refresh(issued.refresh_token, FIRST, NOBODY)
    desk.shop.clock.ms += 30 * 24 * 3_600_000
    again = lost
    for one in (desk, desk, desk_of(desk.shop)):
        again = await one.sessions.refresh(issued.refresh_token, FIRST, NOBODY)
        assert again.refresh_token == lost.refresh_token
        assert await one.is_let_in(again.access_token)
    assert await refused(desk, again.refresh_token, SECOND) is None


async def test_a_token_that_was_copied_ends_the_session(desk: Desk) -> None:
    """Whoever of the two comes second: neither goes on, and what either holds lets in no more."""
    issued = await desk.sign_in(await device(desk))
    thief = await desk.sessions.refresh(issued.refresh_token, FIRST, NOBODY)
    assert await refused(desk, issued.refresh_token, SECOND) == "reused_refresh"
    assert await refused(desk, thief.refresh_token, THIRD) == "invalid_refresh"
    assert not await desk.is_let_in(thief.access_token)
    assert not await desk.is_let_in(issued.access_token)
    assert (await desk.audit())[-1] == ("session.end", "refused", "reuse")


async def test_an_attempt_is_not_answered_again_once_its_answer_was_used(desk: Desk) -> None:
    """The very same request recorded on the line opens nothing later."""
    issued = await desk.sign_in(await device(desk))
    following = await desk.sessions.refresh(issued.refresh_token, FIRST, NOBODY)
    await desk.sessions.refresh(following.refresh_token, SECOND, NOBODY)
    assert await refused(desk, issued.refresh_token, FIRST) == "reused_refresh"


async def test_a_backup_that_was_put_back_ends_no_session(desk: Desk) -> None:
    """A token newer than the database goes on, is answered again, and makes the older ones spent as before."""
    issued = await desk.sign_in(await device(desk))
    tokens = [issued.refresh_token]
    for count in range(3):
        tokens.append((await desk.sessions.refresh(tokens[-1], f"attempt-{count:016}", NOBODY)).refresh_token)

    async def put_back(writing: Writing) -> None:
        await writing.tx.execute(_PUT_BACK, (issued.tenant_id, issued.session_id))

    await desk.shop.writer.submit(Job([issued.tenant_id], put_back))
    following = await desk.sessions.refresh(tokens[-1], FIRST, NOBODY)
    assert (await desk.sessions.refresh(tokens[-1], FIRST, NOBODY)).refresh_token == following.refresh_token
    following = await desk.sessions.refresh(following.refresh_token, SECOND, NOBODY)
    assert await desk.is_let_in(following.access_token)
    assert await refused(desk, tokens[2], THIRD) == "reused_refresh"


async def test_a_session_is_over_when_it_was_not_renewed_for_a_season(desk: Desk) -> None:
    """Each refresh begins that time anew."""
    issued = await desk.sign_in(await device(desk))
    desk.shop.clock.ms += LIFE_MS - 1
    issued = await desk.sessions.refresh(issued.refresh_token, FIRST, NOBODY)
    desk.shop.clock.ms += LIFE_MS
    assert await refused(desk, issued.refresh_token, SECOND) == "invalid_refresh"


async def test_signing_out_lets_nobody_in_any_more(desk: Desk) -> None:
    """By whichever token of the family; twice is once."""
    issued = await desk.sign_in(await device(desk))
    following = await desk.sessions.refresh(issued.refresh_token, FIRST, NOBODY)
    for _ in range(2):
        await desk.sessions.sign_out(issued.refresh_token, NOBODY)
    assert not await desk.is_let_in(following.access_token)
    assert await refused(desk, following.refresh_token, SECOND) == "invalid_refresh"
    assert [entry for entry in await desk.audit() if entry[0] == "session.end"] == [
        ("session.end", "done", "signed_out")
    ]


async def test_a_revoked_device_refreshes_nothing(desk: Desk) -> None:
    """Whoever is signed in on it."""
    device_id = await device(desk)
    issued = await desk.sign_in(device_id)
    await desk.shop.admin.revoke_device(desk.shop.tenant_id, device_id)
    assert await refused(desk, issued.refresh_token, FIRST) == "invalid_refresh"
    assert not await desk.is_let_in(issued.access_token)


@pytest.mark.parametrize(
    "text", ["", "x", "rnr_", "rnt_" + "0" * 32, "rnr_" + "0" * 32 + "_" + "0" * 32 + "_0_" + "0" * 64]
)
async def test_what_was_not_made_here_is_refused(desk: Desk, text: str) -> None:
    """A token of another installation too, and one whose generation was moved on by hand."""
    issued = await desk.sign_in(await device(desk))
    forged = RefreshTokens(lambda: desk_of(desk.shop, b"x" * 32).vault.derive(REFRESH))
    other = forged.make(Refresh(issued.tenant_id, issued.session_id, 0))
    moved = issued.refresh_token.replace("_0_", "_1_")
    for token in (text, other, moved):
        assert await refused(desk, token, FIRST) == "invalid_refresh"
    assert await refused(desk, issued.refresh_token, FIRST) is None
