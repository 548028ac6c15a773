"""What notifications say, in Italian and English. Pure: one table a language, the same kinds in each.

A text quotes at most a supplier's name and a total, which whoever gets it may read in the invoice; of conflicts,
closings and failures it says that there is something, and where to look.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from server.ports import NoticeKind

Lang = Literal["it", "en"]
MOST_NAMED = 3
MOST_NAME = 60
"""So many characters of a supplier's name."""


class Said(NamedTuple):
    """A notification's two lines."""

    title: str
    body: str


class Invoice(NamedTuple):
    """An invoice, as far as it is told. `total` is a decimal as the wire writes it."""

    supplier: str
    total: str
    currency: str


class _Words(NamedTuple):
    one_invoice: str
    invoices: str
    open_it: str
    and_more: str
    of: Mapping[NoticeKind, tuple[Said, Said]]
    """For one, and for several (`{count}`)."""

    died: Mapping[str, str]
    """What an alert of a kind means, where one is told alone."""

    separators: tuple[str, str]
    """Between thousands, and before the cents."""


_IT = _Words(
    "Nuova fattura: {invoice}",
    "{count} nuove fatture",
    "Tocca per leggerla.",
    "e altre {count}",
    {
        "conflict": (
            Said("Un conflitto aspetta una decisione", "Lo stesso dato è stato cambiato in due modi: quale vale?"),
            Said("{count} conflitti aspettano una decisione", "Gli stessi dati sono stati cambiati in due modi."),
        ),
        "closing": (
            Said("Una chiusura non quadra", "La chiusura di cassa non corrisponde alle vendite arrivate."),
            Said("{count} chiusure non quadrano", "Le chiusure di cassa non corrispondono alle vendite arrivate."),
        ),
        "died": (
            Said("Qualcosa si è fermato", "Un invio o un evento aspetta una persona."),
            Said("{count} cose si sono fermate", "Invii o eventi aspettano una persona."),
        ),
    },
    {
        "failing": "Un collegamento non riesce a consegnare da un po'.",
        "stuck": "Consegne o eventi di un collegamento aspettano una persona.",
        "silent": "Da un giorno un collegamento non dà segno di vita.",
        "alarm": "Il server ha segnalato un errore nel suo registro.",
    },
    (".", ","),
)
_EN = _Words(
    "New invoice: {invoice}",
    "{count} new invoices",
    "Tap to read it.",
    "and {count} more",
    {
        "conflict": (
            Said("A conflict waits for a decision", "The same value was changed in two ways: which one holds?"),
            Said("{count} conflicts wait for a decision", "The same values were changed in two ways."),
        ),
        "closing": (
            Said("A closing does not add up", "What the till closed with is not what arrived of its sales."),
            Said("{count} closings do not add up", "What tills closed with is not what arrived of their sales."),
        ),
        "died": (
            Said("Something has stopped", "A delivery or an event waits for a person."),
            Said("{count} things have stopped", "Deliveries or events wait for a person."),
        ),
    },
    {
        "failing": "A connection has not been able to deliver for a while.",
        "stuck": "Deliveries or events of a connection wait for a person.",
        "silent": "Nothing was heard of a connection for a day.",
        "alarm": "The server reported an error in its log.",
    },
    (",", "."),
)
_WORDS: Mapping[str, _Words] = {"it": _IT, "en": _EN}


def say_invoices(lang: str, invoices: Sequence[Invoice]) -> Said:
    """That invoices arrived; of several, the first few by name."""
    words = _WORDS[lang]
    named = [_named(words, one) for one in invoices[:MOST_NAMED]]
    if len(invoices) == 1:
        return Said(words.one_invoice.format(invoice=named[0]), words.open_it)
    if len(invoices) > MOST_NAMED:
        named.append(words.and_more.format(count=len(invoices) - MOST_NAMED))
    return Said(words.invoices.format(count=len(invoices)), " · ".join(named))


def say(lang: str, kind: NoticeKind, count: int, alert: str | None = None) -> Said:
    """That something waits; `alert` is the one alert's kind, where it is one."""
    words = _WORDS[lang]
    one, several = words.of[kind]
    if count == 1:
        return one._replace(body=words.died.get(alert or "", one.body))
    return several._replace(title=several.title.format(count=count))


def _named(words: _Words, invoice: Invoice) -> str:
    supplier = invoice.supplier if len(invoice.supplier) <= MOST_NAME else invoice.supplier[: MOST_NAME - 1] + "…"
    sign = "€" if invoice.currency == "EUR" else invoice.currency
    return f"{supplier}, {_amount(words, invoice.total)} {sign}"


def _amount(words: _Words, total: str) -> str:
    """The decimal with its separators; every digit of it."""
    sign, digits = ("-", total[1:]) if total.startswith("-") else ("", total)
    whole, _, cents = digits.partition(".")
    thousands, decimal = words.separators
    return f"{sign}{int(whole):,}".replace(",", thousands) + decimal + cents.ljust(2, "0")
