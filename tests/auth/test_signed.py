"""Signed requests: good over the very request, by the key's own secret, at its time, once."""

from collections.abc import Mapping

import pytest

from server.auth.errors import AccessError
from server.auth.guard import Known
from server.auth.keys import Terms
from server.auth.signed import TOLERANCE_S, Asked
from server.storage.database import Tx
from server.storage.statement import Statement
from sync.signing import ID, SIGNATURE, TIMESTAMP, Signed, sign
from tests.auth.desk import NOBODY, Desk, desk_of

_SPENT = Statement("SELECT count(*) FROM spent WHERE tenant_id = :tenant_id")


async def signing_key(desk: Desk) -> tuple[Known, str]:
    """A key that signs, as the guard knows it, and its secret."""
    till = await desk.shop.admin.add_device(desk.shop.tenant_id, "Cassa 1", "terminal", "centro")
    made = await desk.keys.issue(desk.shop.tenant_id, till.device_id, "Gestionale", Terms(signed=True), NOBODY)
    known = await desk.guard.now(made.token)
    assert known is not None
    assert made.signing_secret is not None
    return known, made.signing_secret


def asked(desk: Desk, secret: str, request_id: str = "request-1", moved_s: int = 0) -> Asked:
    """A request as a program sends it."""
    signed = Signed(request_id, str(desk.shop.clock.ms // 1000 + moved_s), "POST", b"/v1/sync?x=1", b"{}")
    headers = {ID: signed.request_id, TIMESTAMP: signed.timestamp, SIGNATURE: sign(secret, signed)}
    return Asked(signed.method, signed.target, headers, signed.body)


async def refused(desk: Desk, known: Known, request: Asked) -> str | None:
    """The code it is refused with, if it is."""
    try:
        await desk.requests.check(known, request)
    except AccessError as error:
        return error.code
    return None


async def test_a_signed_request_passes_once(desk: Desk) -> None:
    """Also where another process is asked; signed anew, it passes again."""
    known, secret = await signing_key(desk)
    first = asked(desk, secret)
    assert await refused(desk, known, first) is None
    assert [await refused(one, known, first) for one in (desk, desk_of(desk.shop))] == ["replayed"] * 2
    assert await refused(desk, known, asked(desk, secret, "request-2")) is None


async def test_nothing_of_a_request_can_be_another(desk: Desk) -> None:
    """Method, path, query, body, id, time: whatever is changed, the signature does not fit."""
    known, secret = await signing_key(desk)
    good = asked(desk, secret)

    def header(**changed: str) -> Mapping[str, str]:
        return {**good.headers, **{name.replace("_", "-"): value for name, value in changed.items()}}

    later = str(int(good.headers[TIMESTAMP]) + 1)
    changes = [
        good._replace(method="GET"),
        good._replace(target=b"/v1/sync?x=2"),
        good._replace(target=b"/v1/sync"),
        good._replace(body=b"{} "),
        good._replace(headers=header(webhook_id="request-2")),
        good._replace(headers=header(webhook_timestamp=later)),
        good._replace(headers=header(webhook_signature=good.headers[SIGNATURE].replace("v1,", "v2,"))),
        asked(desk, "whsec_" + "A" * 43 + "="),
    ]
    assert [await refused(desk, known, one) for one in changes] == ["bad_signature"] * len(changes)
    assert await refused(desk, known, good) is None


@pytest.mark.parametrize("missing", [ID, TIMESTAMP, SIGNATURE])
async def test_a_request_that_is_not_signed_is_refused(desk: Desk, missing: str) -> None:
    """Each of the three headers is needed."""
    known, secret = await signing_key(desk)
    good = asked(desk, secret)
    headers = {name: value for name, value in good.headers.items() if name != missing}
    assert await refused(desk, known, good._replace(headers=headers)) == "unsigned"


async def test_a_signature_is_good_for_five_minutes_either_way(desk: Desk) -> None:
    """To the second, as Standard Webhooks has it."""
    known, secret = await signing_key(desk)
    moved = (-TOLERANCE_S - 1, -TOLERANCE_S, TOLERANCE_S, TOLERANCE_S + 1)
    seen = [await refused(desk, known, asked(desk, secret, f"request{at:+}".replace("+", "_"), at)) for at in moved]
    assert seen == ["stale_signature", None, None, "stale_signature"]


async def test_ids_are_kept_for_as_long_as_they_could_be_sent_again(desk: Desk) -> None:
    """And no longer: the table does not grow with the years."""
    known, secret = await signing_key(desk)
    for number in range(5):
        assert await refused(desk, known, asked(desk, secret, f"request-{number}")) is None
    desk.shop.clock.ms += (2 * TOLERANCE_S + 61) * 1000
    assert await refused(desk, known, asked(desk, secret, "request-later")) is None

    async def work(tx: Tx) -> int:
        count: int = (await tx.fetch(_SPENT, (desk.shop.tenant_id,)))[0][0]
        return count

    assert await desk.shop.database.read(work) == 1


async def test_two_keys_may_use_the_same_ids(desk: Desk) -> None:
    """Programs do not know of each other."""
    for known, secret in [await signing_key(desk) for _ in range(2)]:
        assert await refused(desk, known, asked(desk, secret)) is None
