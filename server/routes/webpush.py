"""`/v1/webpush/…`: a device subscribes to messages, looks at every open whether that still holds, and unsubscribes.

What a browser gave is secret but for its address, which its own device is shown again, to compare. An owner sees which
devices are subscribed, and nothing that could reach them.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr
from starlette.requests import Request
from starlette.responses import Response

from server.ports import NOTICE_KINDS, NoticeKind
from server.routes.access import Form, read_form
from server.routes.forms import MAYBE_TEXT, TEXT, UUID_SCHEMA, answer, object_schema, status_schema
from server.routes.openapi import Operation
from server.routes.owners import acting, owner_of
from server.routes.parameters import parse_parameters
from server.routes.state import State, signed_in
from server.webpush.quiet import Quiet
from server.webpush.subscribers import Subscriber, kinds_for
from server.webpush.subscriptions import Wanted

_Time = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]


class KeysForm(Form):
    """What to encrypt with, in base64url, as the browser gives it."""

    p256dh: Annotated[SecretStr, Field(max_length=100)]
    auth: Annotated[SecretStr, Field(max_length=40)]


class QuietForm(Form):
    """Hours without messages, by the clock in Rome; `from` is included, `to` is not."""

    start: Annotated[_Time, Field(alias="from")]
    end: Annotated[_Time, Field(alias="to")]


class SubscriptionForm(Form):
    """A browser's subscription. `public_key`: the key of ours that it was made with; `kinds`: null for all of them."""

    endpoint: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[!-~]+$")]
    keys: KeysForm
    public_key: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
    lang: Literal["it", "en"] = "it"
    kinds: Annotated[list[NoticeKind], Field(max_length=len(NOTICE_KINDS))] | None = None
    quiet: QuietForm | None = None


async def show_key(request: Request[State]) -> Response:
    """The key to subscribe with, and what this device may be told of."""
    principal = await signed_in(request, "pull")
    parse_parameters(request, ())
    newest, *older = await request.state["services"].webpush.keys.known(principal.tenant_id)
    kinds = kinds_for(principal.role)
    return answer({"public_key": newest.public_key, "older": [one.public_key for one in older], "kinds": kinds})


async def show_mine(request: Request[State]) -> Response:
    """The device's own subscription, or null."""
    principal = await signed_in(request, "pull")
    parse_parameters(request, ())
    mine = await request.state["services"].webpush.subscriptions.mine(principal)
    told = None if mine is None else {"endpoint": mine.endpoint, **_described(mine.subscriber)}
    return answer({"subscription": told})


async def put_mine(request: Request[State]) -> Response:
    """Subscribe, or change what is wanted."""
    principal = await signed_in(request, "pull")
    form = await read_form(request, SubscriptionForm)
    quiet = None if form.quiet is None else (form.quiet.start, form.quiet.end)
    given = (form.endpoint, form.keys.p256dh, form.keys.auth, form.public_key)
    wanted = Wanted(*given, form.lang, form.kinds, quiet)
    subscriptions = request.state["services"].webpush.subscriptions
    await subscriptions.put(principal, wanted, acting(request, principal))
    return answer({"status": "subscribed"})


async def delete_mine(request: Request[State]) -> Response:
    """Unsubscribe; again, it does no harm."""
    principal = await signed_in(request, "pull")
    parse_parameters(request, ())
    await request.state["services"].webpush.subscriptions.remove(principal, acting(request, principal))
    return answer({"status": "unsubscribed"})


async def list_subscriptions(request: Request[State]) -> Response:
    """All of a merchant's, without what could reach them."""
    principal = await owner_of(request)
    parse_parameters(request, ())
    found = await request.state["services"].webpush.subscriptions.list(principal.tenant_id)
    return answer({"subscriptions": [_listed(one) for one in found.values()]})


def _listed(one: Subscriber) -> dict[str, Any]:
    whose = {"device_id": one.principal.device_id, "device_name": one.device_name, "person_id": one.principal.person_id}
    return {**whose, **_described(one)}


def _described(one: Subscriber) -> dict[str, Any]:
    return {
        "public_key": one.public_key,
        "lang": one.lang,
        "kinds": one.kinds,
        "quiet": _shown(one.quiet),
        "created_at": one.created_at,
        "changed_at": one.changed_at,
    }


def _shown(quiet: Quiet | None) -> dict[str, str] | None:
    if quiet is None:
        return None
    return {"from": quiet.start.isoformat("minutes"), "to": quiet.end.isoformat("minutes")}


def webpush_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    kind = {"enum": list(NOTICE_KINDS)}
    kinds = {"type": "array", "items": kind}
    described = {
        "public_key": {**TEXT, "description": "Another than /v1/webpush/key says: subscribe anew, with that one."},
        "lang": {"enum": ["it", "en"]},
        "kinds": {"type": ["array", "null"], "items": kind},
        "quiet": {"type": ["object", "null"]},
        "created_at": TEXT,
        "changed_at": TEXT,
    }
    mine = {**object_schema(endpoint=TEXT, **described), "type": ["object", "null"]}
    listed = object_schema(device_id=UUID_SCHEMA, device_name=TEXT, person_id=MAYBE_TEXT, **described)
    return (
        Operation(
            "GET",
            "/v1/webpush/key",
            show_key,
            "Show the VAPID public key to subscribe with, older ones that are still good, and what may be told.",
            response=object_schema(public_key=TEXT, older={"type": "array", "items": TEXT}, kinds=kinds),
            errors=(400, 403, 503),
        ),
        Operation(
            "GET",
            "/v1/webpush/subscription",
            show_mine,
            "Show this device's push subscription, to compare with the browser's.",
            response=object_schema(subscription=mine),
            errors=(400, 403, 503),
        ),
        Operation(
            "PUT",
            "/v1/webpush/subscription",
            put_mine,
            "Subscribe this device to push messages, or change what it wants.",
            request=SubscriptionForm.model_json_schema(),
            response=status_schema("subscribed"),
            errors=(400, 403, 409, 410, 413, 415, 422, 503),
        ),
        Operation(
            "DELETE",
            "/v1/webpush/subscription",
            delete_mine,
            "Unsubscribe this device.",
            response=status_schema("unsubscribed"),
            errors=(400, 403, 410, 503),
        ),
        Operation(
            "GET",
            "/v1/webpush/subscriptions",
            list_subscriptions,
            "List which of a merchant's devices are subscribed.",
            response=object_schema(subscriptions={"type": "array", "items": listed}),
            errors=(400, 403, 503),
        ),
    )
