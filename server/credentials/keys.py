"""Replacing a secret of an endpoint: now, or at a time; checked against the provider's form before it is stored.

Where the provider's form has a `previous_…` beside a secret, for webhooks that come in, the old one goes there at the
switch, so that what the other side still signs with it is taken. A secret declared `overlap` may hold several, divided
by a space, that are all used: until the switch both sign.
"""

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pydantic import BaseModel, SecretStr, ValidationError

from server.audit import OPERATOR, Actor, Entry, note
from server.credentials.dates import Dated, expiry_of, put_dates
from server.credentials.endpoints import EndpointError, reasons
from server.credentials.schedule import planned, present
from server.credentials.vault import Vault
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.clock import encode_instant

_FIND = Statement(
    "SELECT provider, settings, sealed FROM endpoints WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"
)
_SEAL = Statement("UPDATE endpoints SET sealed = :sealed WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id")


class Replacement(NamedTuple):
    """A secret that takes the place of another: `from_ms` is when (None: now), and how long it shall last."""

    name: str
    value: str
    from_ms: int | None = None
    every_days: int | None = None


class Keys:
    """Replaces secrets."""

    def __init__(
        self, writer: Writer, vault: Vault, forms: Mapping[str, type[BaseModel]], clock: Callable[[], int]
    ) -> None:
        """`forms` are the providers' settings classes by name; `clock` gives milliseconds since 1970."""
        self._writer, self._vault, self._forms, self._clock = writer, vault, forms, clock

    async def replace(self, tenant_id: str, endpoint_id: str, new: Replacement, actor: Actor = OPERATOR) -> str:
        """Store it; from when it counts. Raises EndpointError."""
        now = encode_instant(self._clock())
        instant = max(now, encode_instant(new.from_ms)) if new.from_ms is not None else now

        async def job(writing: Writing) -> None:
            rows = await writing.tx.fetch(_FIND, (tenant_id, endpoint_id))
            if not rows:
                raise EndpointError("there is no such account here: see `rientro provider list`")
            provider, settings, sealed = rows[0]
            values = self._vault.unseal(tenant_id, provider, endpoint_id, sealed) if sealed else {}
            values = self._planned(self._forms.get(provider), json.loads(settings), values, new, (instant, now))
            sealed = self._vault.seal(tenant_id, provider, endpoint_id, values)
            await writing.tx.execute(_SEAL, (sealed, tenant_id, endpoint_id))
            later = instant if instant > now else None
            dated = Dated(tenant_id, endpoint_id, later, new.every_days)
            await put_dates(writing, dated, {new.name: new.value})
            await note(writing, tenant_id, Entry("secret.set", actor, "endpoint", endpoint_id, reason=new.name))

        await self._writer.submit(Job([tenant_id], job))
        return instant

    def _planned(
        self,
        form: type[BaseModel] | None,
        settings: Mapping[str, object],
        values: Mapping[str, str],
        new: Replacement,
        when: tuple[str, str],
    ) -> dict[str, str]:
        if form is None or new.name not in _secrets_of(form):
            known = ", ".join(sorted(_secrets_of(form))) if form is not None else "none"
            raise EndpointError(f"{new.name!r} is no secret of this provider's: it has {known}")
        old = present(values, when[1]).get(new.name)
        changes = {new.name: new.value}
        if old is not None and f"previous_{new.name}" in form.model_fields:
            changes[f"previous_{new.name}"] = old
        try:
            form.model_validate({**settings, **present(values, when[1]), **changes})
        except ValidationError as error:
            raise EndpointError(f"the secret does not fit: {reasons(error)}") from None
        ends = expiry_of(new.name, old) if old is not None else None
        if ends is not None and ends < when[0]:
            raise EndpointError(f"the present certificate ends at {ends}, before the new one is to be used")
        if old is not None and when[0] > when[1] and _overlaps(form, new.name):
            values = planned(values, {new.name: f"{old.split()[0]} {new.value}"}, when[1], when[1])
        return planned(values, changes, *when)


def _secrets_of(form: type[BaseModel]) -> set[str]:
    return {name for name, field in form.model_fields.items() if SecretStr in _types(field.annotation)}


def _types(annotation: object) -> tuple[object, ...]:
    return (annotation, *getattr(annotation, "__args__", ()))


def _overlaps(form: type[BaseModel], name: str) -> bool:
    extra = form.model_fields[name].json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("overlap"))
