"""An invoice as a page: our own view of a record, in Italian, for a screen and for paper. Pure text in, text out.

Everything that comes from outside is escaped where it is put in, and loses what would turn the direction of the text
around it: an amount or an account number is read as it stands. There is no script, no link and no picture, and the
one style sheet is named in the policy by its hash. The policy stands in the page as well, for who saves it.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from html import escape as escape_markup
from typing import Any

from server.routes import invoice_words as words

Fields = Mapping[str, Any]

_STYLE = """
body{font:15px/1.4 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:52rem;margin:1.5rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin:0 0 .2rem}h2{font-size:1rem;margin:1.6rem 0 .4rem;border-bottom:1px solid #888}
table{border-collapse:collapse;width:100%}th,td{padding:.25rem .4rem;text-align:left;vertical-align:top}
th{font-weight:600;border-bottom:1px solid #bbb}td{border-bottom:1px solid #eee;overflow-wrap:anywhere}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}.parties{display:flex;gap:2rem;flex-wrap:wrap}
.parties section{flex:1 1 16rem}.sums{margin-left:auto;width:auto;min-width:18rem}
.sums tr:last-child td{font-weight:700}
.note{color:#555}.credit{border:2px solid #a40000;color:#a40000;padding:.3rem .6rem;display:inline-block}
@media print{body{margin:0;max-width:none;font-size:11pt}tr{break-inside:avoid}thead{display:table-header-group}}
"""
CSP = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    f"style-src 'sha256-{base64.b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)
_SAVED_CSP = escape_markup(CSP.replace("frame-ancestors 'self'; ", ""))  # which means nothing in a page itself


_TURNING = dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))


def escape(text: str) -> str:
    """As a text of the page."""
    return escape_markup(text.translate(_TURNING))


def render_invoice(fields: Fields) -> str:
    """The page of an invoice's record, fields in wire form; those that an old record lacks are left out."""
    kind = words.DOCUMENTS.get(fields["document_type"], fields["document_type"])
    title = f"{kind} n. {fields['number']} del {_day(fields['issued_on'])}"
    parts = (
        f"<h1>{escape(title)}</h1>",
        _kind_note(fields),
        _parties(fields),
        _causes(fields),
        _related(fields),
        _lines(fields),
        _summaries(fields),
        _beside(fields),
        _sums(fields),
        _payments(fields),
        _attachments(fields),
        _about(fields),
    )
    body = "\n".join(filter(None, parts))
    return (
        '<!DOCTYPE html>\n<html lang="it"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_SAVED_CSP}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _kind_note(fields: Fields) -> str:
    if fields["document_type"] in words.CREDIT_NOTES:
        return '<p class="credit">Nota di credito: gli importi sono a Suo favore</p>'
    return ""


def _parties(fields: Fields) -> str:
    supplier = _party("Fornitore", fields, "supplier")
    customer = _party("Cliente", fields, "customer") if fields.get("customer_name") else ""
    return f'<div class="parties">{supplier}{customer}</div>'


def _party(heading: str, fields: Fields, who: str) -> str:
    said = [
        fields.get(f"{who}_name"),
        fields.get(f"{who}_address"),
        _labelled("Partita IVA", fields.get(f"{who}_vat")),
        _labelled("Codice fiscale", fields.get(f"{who}_tax_code")),
    ]
    lines = "<br>".join(escape(one) for one in said if one)
    return f"<section><h2>{heading}</h2><p>{lines}</p></section>"


def _causes(fields: Fields) -> str:
    causes = fields.get("causes") or ()
    return _section("Causale", "".join(f"<p>{escape(one)}</p>" for one in causes)) if causes else ""


def _related(fields: Fields) -> str:
    rows = [
        (words.RELATED.get(one["kind"], one["kind"]), one.get("number") or "", _day(one.get("day")))
        for one in fields.get("related") or ()
    ]
    return _table("Documenti collegati", ("Documento", "Numero", "Data"), rows)


def _lines(fields: Fields) -> str:
    rows = [
        (
            str(one["number"]),
            one["description"],
            " ".join(filter(None, (_decimal(one.get("quantity")), one.get("unit")))),
            _decimal(one["unit_price"]),
            _rate(one["vat_rate"], one.get("nature")),
            _decimal(one["total"]),
        )
        for one in fields["lines"]
    ]
    return _table("Righe", ("N.", "Descrizione", "Quantità", "Prezzo", "IVA", "Importo"), rows, numbers=(2, 3, 5))


def _summaries(fields: Fields) -> str:
    currency = fields["currency"]
    rows = [
        (
            _rate(one["rate"], one.get("nature")),
            words.DUE.get(one.get("due") or "", ""),
            _money(one["taxable"], currency),
            _money(one["tax"], currency),
        )
        for one in fields["summaries"]
    ]
    return _table("Riepilogo IVA", ("Aliquota", "Esigibilità", "Imponibile", "Imposta"), rows, numbers=(2, 3))


def _beside(fields: Fields) -> str:
    """What is added and taken away beside the lines."""
    rows = [
        (words.WITHHOLDINGS.get(one.get("kind") or "", "Ritenuta"), _percent(one.get("rate")), one.get("amount"))
        for one in fields.get("withholdings") or ()
    ]
    rows += [
        (f"Cassa previdenziale {one.get('kind') or ''}".strip(), _percent(one.get("rate")), one.get("amount"))
        for one in fields.get("funds") or ()
    ]
    rows += [
        (words.DISCOUNTS.get(one.get("kind") or "", "Sconto"), _percent(one.get("percent")), one.get("amount"))
        for one in fields.get("discounts") or ()
    ]
    shown = [(what, rate, _decimal(amount)) for what, rate, amount in rows]
    return _table("Ritenute, casse, sconti", ("Voce", "Aliquota", "Importo"), shown, numbers=(2,))


def _sums(fields: Fields) -> str:
    currency = fields["currency"]
    rows = [
        ("Bollo", _decimal(fields.get("stamp_duty"))),
        ("Arrotondamento", _decimal(fields.get("rounding"))),
        ("Totale documento" + (" (calcolato)" if fields["total_derived"] else ""), _money(fields["total"], currency)),
    ]
    if fields["payable"] != fields["total"]:
        rows.append(("IVA versata dal cliente allo Stato", _difference(fields["payable"], fields["total"], currency)))
    if fields.get("withheld"):
        rows.append(("Ritenute", _difference("0", fields["withheld"], currency)))
    rows.append(("Netto a pagare", _difference(fields["payable"], fields.get("withheld") or "0", currency)))
    cells = "".join(f'<tr><td>{escape(what)}</td><td class="n">{escape(sum_)}</td></tr>' for what, sum_ in rows if sum_)
    return f'<h2>Totali</h2><table class="sums">{cells}</table>'


def _payments(fields: Fields) -> str:
    rows = [
        (
            words.METHODS.get(one.get("method") or "", one.get("method") or ""),
            words.CONDITIONS.get(one.get("conditions") or "", one.get("conditions") or ""),
            _day(one.get("due_on")),
            one.get("iban") or "",
            _decimal(one.get("amount")),
        )
        for one in fields.get("payments") or ()
    ]
    return _table("Pagamento", ("Modo", "Condizioni", "Scadenza", "IBAN", "Importo"), rows, numbers=(4,))


def _attachments(fields: Fields) -> str:
    rows = [
        (one["name"], one.get("format") or "", _size(one.get("size")) if one.get("sha256") else "danneggiato nel file")
        for one in fields.get("attachments") or ()
    ]
    return _table("Allegati", ("Nome", "Formato", "Dimensione"), rows, numbers=(2,))


def _about(fields: Fields) -> str:
    said = [
        _labelled("Ricevuta il", _day(fields["received_at"][:10])),
        _labelled("Identificativo SdI", fields.get("sdi_id")),
        _labelled("Tipo", fields["document_type"]),
        words.SIGNATURES.get(fields.get("signature") or "", ""),
        "Copia di cortesia: fa fede il file ricevuto dal Sistema di Interscambio.",
    ]
    return f'<p class="note">{escape(" · ".join(filter(None, said)))}</p>'


def _section(heading: str, inner: str) -> str:
    return f"<h2>{heading}</h2>{inner}"


def _table(heading: str, names: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """A table under a heading; nothing where there are no rows."""
    kept = list(rows)
    if not kept:
        return ""
    classes = [' class="n"' if place in numbers else "" for place in range(len(names))]
    head = "".join(f"<th{cls}>{escape(name)}</th>" for cls, name in zip(classes, names, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{cls}>{escape(cell)}</td>' for cls, cell in zip(classes, row, strict=True))}</tr>"
        for row in kept
    )
    return _section(heading, f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _labelled(name: str, value: str | None) -> str:
    return f"{name} {value}" if value else ""


def _day(text: str | None) -> str:
    """2026-03-31 as Italians write it."""
    return "/".join(reversed(text.split("-"))) if text else ""


def _decimal(text: str | None) -> str:
    """The digits as they are, with Italian points and comma: 1.234,50; what is no number is shown as it is."""
    if not text:
        return ""
    try:
        return format(Decimal(text), ",f").translate(_ITALIAN)
    except InvalidOperation:
        return text


_ITALIAN = str.maketrans(",.", ".,")


def _money(text: str, currency: str) -> str:
    return f"{_decimal(text)} {'€' if currency == 'EUR' else currency}"


def _difference(text: str, less: str, currency: str) -> str:
    return _money(format(Decimal(text) - Decimal(less), ".2f"), currency)


def _percent(text: str | None) -> str:
    return f"{_decimal(text)} %" if text else ""


def _rate(rate: str, nature: str | None) -> str:
    return " ".join(filter(None, (_percent(rate), words.nature(nature))))


def _size(size: int | None) -> str:
    return "" if size is None else f"{max(1, round(size / 1024))} kB"
