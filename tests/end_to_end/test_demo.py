"""The demonstration, quick, on PostgreSQL: all comes home once, and a difference would have been seen."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.demo.check import check
from tests.demo.evidence import AUDIT_FILE, PROVIDER_FILE, read_evidence
from tests.demo.rows import Row
from tests.end_to_end.conftest import SALES, Played

ROOT = Path(__file__).parents[2]

Lines = list[dict[str, Any]]


def test_everything_comes_home_once(played: Played) -> None:
    """Every row of the table is as expected, whatever was lost, cut or killed on the way."""
    wrong = [f"{row.name}: {dict(row.wrong)}" for row in played.rows if not row.ok]
    assert wrong == [], f"{played.told}\nlogs are in {played.folder}"


def test_the_table_has_no_empty_row(played: Played) -> None:
    """Each row compares something, and the sales are those that were meant."""
    assert [row.name for row in played.rows if not row.found] == []
    rows = {row.name: row for row in played.rows}
    assert set(rows["Rung up on each till"].found.items()) == {("till-1", str(SALES)), ("till-2", str(SALES))}
    assert set(rows["Sales, each once"].found) == {"server", "provider", "till-1", "till-2", "phone"}
    assert rows["Sales, each once"].expected == str(2 * SALES + 1)
    assert {"22 %: VAT", "10 %: net", "4 %: VAT"} <= rows.keys()


def judged(played: Played, folder: Path, file: str, plant: Callable[[Any], Any]) -> list[Row]:
    """The table's wrong rows, of the story's evidence with something planted in one file."""
    for found in [*played.folder.glob("*.db*"), *played.folder.glob("*.json*")]:
        shutil.copyfile(found, folder / found.name)
    text = (folder / file).read_text()
    if file.endswith(".jsonl"):
        planted = plant([json.loads(line) for line in text.splitlines()])
        (folder / file).write_text("".join(json.dumps(line) + "\n" for line in planted))
    else:
        (folder / file).write_text(json.dumps(plant(json.loads(text))))
    return [row for row in check(read_evidence(folder, {}), SALES) if not row.ok]


def created_kept(lines: Lines, terminal: str, number: int) -> int:
    """Where the provider noted that a sale took effect."""
    for place, line in enumerate(lines):
        sent = json.loads(line["body"])
        fields = sent["data"]["fields"]
        is_it = (fields["terminal_id"], fields["receipt_no"]) == (terminal, number)
        if is_it and line["did"] == "kept" and sent["type"] == "sales.created":
            return place
    raise LookupError


def test_a_sale_missing_at_the_provider_is_named(played: Played, tmp_path: Path) -> None:
    """One line less in the provider's file: the receipt is named, and the sums by VAT rate differ too."""

    def plant(lines: Lines) -> Lines:
        del lines[created_kept(lines, "till-1", 7)]
        return lines

    wrong = {row.name: row.wrong for row in judged(played, tmp_path, PROVIDER_FILE, plant)}
    assert wrong["Sales, each once"] == {"provider": "missing: till-1 7"}
    assert any(name.endswith("VAT") for name in wrong)


def test_a_sale_doubled_at_the_provider_is_named(played: Played, tmp_path: Path) -> None:
    """One effect more under another key: the receipt is named, and the sums by VAT rate differ too."""

    def plant(lines: Lines) -> Lines:
        return [*lines, {**lines[created_kept(lines, "till-2", 9)], "key": "rnt_another"}]

    wrong = {row.name: row.wrong for row in judged(played, tmp_path, PROVIDER_FILE, plant)}
    assert wrong["Sales, each once"] == {"provider": "double: till-2 9"}
    assert any(name.endswith("net") for name in wrong)


def test_a_send_before_retry_after_is_seen(played: Played, tmp_path: Path) -> None:
    """The provider noted that it had asked to be left alone."""
    wrong = judged(played, tmp_path, PROVIDER_FILE, lambda lines: [{**lines[0], "early": True}, *lines[1:]])
    assert [row.name for row in wrong] == ["Sent before Retry-After was over"]


def test_a_cent_too_much_at_the_server_is_seen(played: Played, tmp_path: Path) -> None:
    """Sums are compared to the cent, records member by member."""

    def plant(audit: dict[str, Any]) -> dict[str, Any]:
        sale = next(one for one in audit["records"] if one["collection"] == "sales" and _counts(one["fields"]))
        whole, cents = sale["fields"]["vat"][0]["vat"].split(".")
        sale["fields"]["vat"][0]["vat"] = f"{whole}.{(int(cents) + 1) % 100:02}"
        return audit

    wrong = {row.name: row.wrong for row in judged(played, tmp_path, AUDIT_FILE, plant)}
    assert {name.rpartition(" ")[2] for name in wrong} == {"VAT", "server's"}
    assert all(set(where) == {"server"} for name, where in wrong.items() if name.endswith("VAT"))


def test_a_verdict_that_changed_is_seen(played: Played, tmp_path: Path) -> None:
    """Asked again, the server must say what it said at first."""

    def plant(audit: dict[str, Any]) -> dict[str, Any]:
        next(iter(audit["verdicts"].values()))["status"] = "rejected"
        return audit

    wrong = judged(played, tmp_path, AUDIT_FILE, plant)
    assert [row.name for row in wrong] == ["Mutations, the same verdict again"]


def test_the_checker_knows_neither_server_nor_client() -> None:
    """It could not share a mistake with them."""
    loaded = "import sys, tests.demo.check; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    names = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, check=True, capture_output=True, text=True)
    assert {"server", "sync", "httpx"}.isdisjoint(names.stdout.split())


def _counts(fields: dict[str, Any]) -> bool:
    return bool(fields["status"] == "completed")
