"""The outbox towards providers: calls, answers, operations and what they promise."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from pydantic import BaseModel

from server.ports.accounts import Account


class Call(NamedTuple):
    """One attempt to deliver.

    `payload` is the JSON text frozen when the change was accepted: the same at every attempt. `idempotency_key` is the
    same too, also from a server restored from a backup. `reference` is the provider's name for what an earlier delivery
    of the record made, for the calls of routes that read their lane (a refund names its charge). `names` are the
    provider's names for the record and for those it comes after, each with its collection, where its route asks.
    """

    account: Account
    delivery_id: str
    idempotency_key: str
    correlation_id: str
    collection: str
    record_id: str
    payload: str
    attempt: int
    reference: str | None = None
    names: Sequence[tuple[str, str]] = ()


class Answer(NamedTuple):
    """What the provider said. `status` is HTTP's (200 where a provider has none) and decides the class of a failure.

    `reference` is the provider's name for what it made, `request_id` its name for the request; `retry_after` and `date`
    are its headers as they stand. What is too long to keep, or holds what no database takes, is dropped by the relay.
    `code` is the provider's own stable word for a refusal (`card_declined`), kept instead of the status's word where
    the answer refuses for good; what may pass keeps the status's, by which breakers judge.
    """

    status: int
    reference: str | None = None
    request_id: str | None = None
    retry_after: str | None = None
    date: str | None = None
    code: str | None = None


Promise = Literal[
    "keyed",  # the provider honours the idempotency key: sent again, one effect
    "lookup",  # looked up before it is sent again: one effect
    "once",  # at most one effect; what is ambiguous ends in doubt, for a person
    "repeatable",  # a second effect does no harm
]


@dataclass(frozen=True, slots=True)
class Operation:
    """How to do one thing at a provider, and what that promises.

    Both callables raise OutboundError or a DeliveryError, or return the answer whatever its status. `look_up` returns
    None where the provider knows of no effect; `lookup` operations must have it.

    `key_life_s`: so long after its first use the provider honours an idempotency key; without it, for ever. `lag_s`: so
    long after a call its effect may still be missing from what `look_up` sees. `deadline_s`: what one call may take
    where that is more than the relay's own deadline; its lease is renewed meanwhile.
    """

    promise: Promise
    send: Callable[[Call], Awaitable[Answer]]
    look_up: Callable[[Call], Awaitable[Answer | None]] | None = None
    key_life_s: float | None = None
    lag_s: float = 0
    deadline_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse a promise nobody could keep."""
        if self.promise == "lookup" and self.look_up is None:
            raise TypeError("an operation that promises `lookup` needs `look_up`")


class Provider(Protocol):
    """An adapter to one kind of outside party. Made by the composition root, called by relay and inbox."""

    @property
    def name(self) -> str:
        """As routes and endpoints name it."""

    @property
    def settings(self) -> type[BaseModel]:
        """The form of an endpoint's settings; what is a SecretStr there is sealed at rest."""

    def operations(self) -> Mapping[str, Operation]:
        """What the outbox may ask of it, by name."""
