"""Looking up what a call of ours may have made: by the marks in its metadata, in a list that is read to its end.

Lists show what was made at once; Stripe's search, which could be asked for metadata, lags by a minute and more. So the
list is narrowed by what is known for certain (the customer, the time) and the marks are compared here. A list that
does not end within bounds proves nothing, and says so.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from server.ports import Answer, Call
from server.providers.stripe.api import said
from server.providers.stripe.told import KEY
from server.resilience.errors import UnknownError

PAGE_SIZE = 100
MOST_PAGES = 50

List = Callable[[Any], Awaitable[Any]]
"""A list of the SDK's, given its parameters."""


async def look_up(call: Call, listed: List, narrowed: Mapping[str, Any]) -> Answer | None:
    """The answer of a list, about the thing that carries the call's key; None where there is none.

    What could not be asked is returned as the answer it was. Raises UnknownError where the list is too long.
    """
    after: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        page = await said(listed({**narrowed, "limit": PAGE_SIZE, **after}))
        if not page.is_success:
            return page.answer
        document = page.document
        things = document.get("data", [])
        for thing in things:
            if (thing.get("metadata") or {}).get(KEY) == call.idempotency_key:
                return page.about(thing["id"])
        if not document.get("has_more") or not things:
            return None
        after = {"starting_after": things[-1]["id"]}
    raise UnknownError("look_up_too_long", maybe_done=True)
