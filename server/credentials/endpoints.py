"""Endpoints: a tenant's accounts at providers. Plain settings are stored as they are, secrets sealed.

What is a secret is not the caller's choice: the provider's settings class says so (`SecretStr`), and both kinds are
checked against it before anything is stored.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import to_json

from server.audit import OPERATOR, Actor, Entry, note
from server.credentials.dates import Dated, put_dates
from server.credentials.vault import Vault
from server.ports import Route, webhook_path
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, UnknownTenantError, Writer, Writing
from sync.clock import encode_instant

_ADD = Statement(
    """INSERT INTO endpoints (tenant_id, endpoint_id, provider, name, settings, sealed, paused, created_at)
       VALUES (:tenant_id, :endpoint_id, :provider, :name, :settings, :sealed, false, :created_at)"""
)
_BACKFILL = Statement(
    """INSERT INTO backfills (tenant_id, route, endpoint_id, begun_at, made)
       VALUES (:tenant_id, :route, :endpoint_id, :now, 0)"""
)
_BIND = Statement("INSERT INTO bindings (tenant_id, route, endpoint_id) VALUES (:tenant_id, :route, :endpoint_id)")
_CALLED = Statement(
    """SELECT endpoint_id, provider, name FROM endpoints WHERE tenant_id = :tenant_id
       ORDER BY created_at, endpoint_id"""
)
_LIST = Statement(
    """SELECT e.endpoint_id, e.provider, e.name, e.paused, e.created_at, e.not_before, e.fallback_id,
         g.state, g.failures, g.openings, g.ready_ms
       FROM endpoints AS e LEFT JOIN gates AS g ON g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id
       WHERE e.tenant_id = :tenant_id ORDER BY e.created_at, e.endpoint_id"""
)


class EndpointError(Exception):
    """The endpoint cannot be made; the message says what to do instead, and never quotes a value."""


class NewEndpoint(NamedTuple):
    """An endpoint just made, and where its webhooks come in."""

    endpoint_id: str
    webhook_path: str


class Named(NamedTuple):
    """An endpoint by its id, its provider and what people call it."""

    endpoint_id: str
    provider: str
    name: str


class EndpointLine(NamedTuple):
    """An endpoint as lists show it.

    `failures`: failed calls in a row that its breaker counts, or, once it opened, how often it did without a success
    between. `not_before`: until when its breaker, its limits or the provider's `Retry-After` hold calls back, as they
    were left; None where they never did. `fallback_id`: what cannot be delivered here goes there.
    """

    endpoint_id: str
    provider: str
    name: str
    paused: bool
    breaker: str
    failures: int
    not_before: str | None
    webhook_path: str
    created_at: str
    fallback_id: str | None


class Endpoints:
    """Makes and lists endpoints."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        vault: Vault,
        forms: Mapping[str, type[BaseModel]],
        routes: Sequence[Route],
        new_id: Callable[[], str],
    ) -> None:
        """`forms` are the providers' settings classes by name; a new endpoint is bound to all its provider's routes."""
        self._database, self._writer, self._vault = database, writer, vault
        self._forms, self._routes, self._new_id = forms, routes, new_id

    async def add(
        self,
        tenant_id: str,
        provider: str,
        name: str,
        values: Mapping[str, str],
        actor: Actor = OPERATOR,
        *,
        standby: bool = False,
    ) -> NewEndpoint:
        """A new endpoint; a `standby` gets nothing of its own. Raises EndpointError."""
        form = self._forms.get(provider)
        if form is None:
            raise EndpointError(f"there is no provider {provider!r}: use one of {', '.join(sorted(self._forms))}")
        endpoint_id = self._new_id()
        settings, secrets = split_settings(form, values)
        row = {
            "tenant_id": tenant_id,
            "endpoint_id": endpoint_id,
            "provider": provider,
            "name": name,
            "settings": to_json(settings).decode(),
            "sealed": self._vault.seal(tenant_id, provider, endpoint_id, secrets),
        }
        routes = () if standby else [route for route in self._routes if route.provider == provider]
        bound = [(tenant_id, route.name, endpoint_id) for route in routes]
        owing = {route.name for route in routes if route.start == "backfill"}

        async def job(writing: Writing) -> None:
            writing.tenant(tenant_id).revision += 1
            await writing.tx.execute(_ADD, {**row, "created_at": writing.now})
            await writing.tx.many(_BIND, bound)
            await writing.tx.many(_BACKFILL, [(*one, writing.now) for one in bound if one[1] in owing])
            await put_dates(writing, Dated(tenant_id, endpoint_id), secrets)
            await note(writing, tenant_id, Entry("endpoint.add", actor, "endpoint", endpoint_id))
            for _, route, _ in bound:
                await note(writing, tenant_id, Entry("binding.add", actor, "endpoint", endpoint_id, reason=route))

        try:
            await self._writer.submit(Job([tenant_id], job))
        except UnknownTenantError:
            raise EndpointError("there is no such tenant here: see `rientro tenant list`") from None
        return NewEndpoint(endpoint_id, webhook_path(tenant_id, provider, endpoint_id, secrets.get("hook", "")))

    async def list(self, tenant_id: str) -> Sequence[EndpointLine]:
        """A tenant's endpoints."""

        async def work(tx: Tx) -> Sequence[EndpointLine]:
            return [_line(tenant_id, *row) for row in await tx.fetch(_LIST, (tenant_id,))]

        return await self._database.read(work)


async def pick(database: Database, tenant_id: str, called: str) -> Named:
    """The endpoint of a tenant that has this id or name. Raises EndpointError where none has, or several."""

    async def work(tx: Tx) -> Sequence[Named]:
        return [Named(*row) for row in await tx.fetch(_CALLED, (tenant_id,))]

    known = await database.read(work)
    found = [one for one in known if one.endpoint_id == called.lower()] or [one for one in known if one.name == called]
    if not found:
        raise EndpointError(f"there is no account {called!r} here: see `rientro provider list`")
    if len(found) > 1:
        raise EndpointError(f"several accounts are called {called!r}: use an id: {', '.join(one[0] for one in found)}")
    return found[0]


def _line(tenant_id: str, endpoint_id: str, provider: str, name: str, *rest: Any) -> EndpointLine:
    paused, created_at, not_before, fallback_id, state, failures, openings, ready_ms = rest
    held = [at for at in (not_before, encode_instant(ready_ms) if ready_ms else None) if at]
    return EndpointLine(
        endpoint_id,
        provider,
        name,
        bool(paused),
        breaker=state or "closed",
        failures=failures or openings or 0,
        not_before=max(held, default=None),
        webhook_path=webhook_path(tenant_id, provider, endpoint_id),
        created_at=created_at,
        fallback_id=fallback_id,
    )


def split_settings(form: type[BaseModel], values: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Plain settings and secrets, checked against the provider's form. Raises EndpointError."""
    unknown = sorted(values.keys() - form.model_fields.keys())
    if unknown:
        known = ", ".join(sorted(form.model_fields))
        raise EndpointError(f"unknown settings {', '.join(unknown)}: this provider takes {known}")
    try:
        checked = form.model_validate(dict(values))
    except ValidationError as error:
        raise EndpointError(f"the settings do not fit: {reasons(error)}") from None
    plain: dict[str, Any] = {}
    secret: dict[str, str] = {}
    for name, value in checked:
        if isinstance(value, SecretStr):
            secret[name] = value.get_secret_value()
        elif value is not None:
            plain[name] = value
    return plain, secret


def reasons(error: ValidationError) -> str:
    """Why settings do not fit, without their values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in found)
