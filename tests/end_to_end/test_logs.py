"""What the story's logs tell, and what they must not: one id from the till to the provider, nobody's name or secret."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.demo.evidence import PROVIDER_FILE
from tests.demo.goods import CUSTOMER, EMAIL
from tests.demo.outside import KIOSK_SECRET
from tests.end_to_end.conftest import Played
from tests.support.intermediary_desk import API_KEY
from tests.support.intermediary_desk import SECRET as INTERMEDIARY_SECRET
from tests.support.receiver import SECRET

TILLS = ("till-1", "till-2", "phone")


def logged(file: Path) -> Iterator[dict[str, Any]]:
    """A log's lines, each of which must be a JSON object."""
    for line in file.read_text().splitlines():
        entry = json.loads(line)
        assert isinstance(entry, dict)
        yield entry


def test_every_log_is_json_lines(played: Played) -> None:
    """Whatever a process says through all its lives, killed ones included, a program can read."""
    files = sorted(played.folder.glob("*.log"))
    assert {"server.log", "till-1.log", "till-2.log", "phone.log"} <= {file.name for file in files}
    assert all(sum(1 for _ in logged(file)) > 0 for file in files if file.stat().st_size)


def test_one_id_goes_from_the_till_to_the_provider(played: Played) -> None:
    """Every delivery bears the id of a request that a client logged, and so does the log of its attempt."""
    asked = {entry["correlation_id"] for till in TILLS for entry in logged(played.folder / f"{till}.log")
             if entry["event"] == "request"}  # fmt: skip
    server = list(logged(played.folder / "server.log"))
    attempted = {entry["correlation_id"] for entry in server if entry["event"] == "delivery_attempt"}
    served = {entry["correlation_id"] for entry in server if entry["event"] == "request"}
    arrived = {line["correlation_id"] for line in logged(played.folder / PROVIDER_FILE)}
    assert len(arrived) > 5
    assert len(arrived - asked) == 1  # the kiosk's sale came by webhook, not from a till
    assert len(arrived & asked & served & attempted) > 5
    assert arrived - attempted == set()


def test_a_webhook_s_id_goes_on_to_the_provider(played: Played) -> None:
    """The kiosk's sale is traced from its webhook to the attempt that forwarded it."""
    server = list(logged(played.folder / "server.log"))
    webhooks = {entry["correlation_id"] for entry in server
                if entry["event"] == "request" and "/webhooks/pos/" in entry["path"]}  # fmt: skip
    attempted = {entry["correlation_id"] for entry in server if entry["event"] == "delivery_attempt"}
    assert webhooks & attempted


def test_no_log_holds_a_secret_or_a_person(played: Played) -> None:
    """Tokens, secrets, and a customer's name and address are in the databases, and in no log."""
    tokens = [json.loads((played.folder / f"{till}.json").read_text())["token"] for till in TILLS]
    canaries = [*tokens, SECRET, KIOSK_SECRET, INTERMEDIARY_SECRET, API_KEY, CUSTOMER, EMAIL]
    canaries += [canary.removeprefix("whsec_") for canary in (SECRET, KIOSK_SECRET)]
    logs = {file.name: file.read_text() for file in played.folder.glob("*.log")}
    assert [(name, canary) for name, text in logs.items() for canary in canaries if canary in text] == []
    phone = b"".join(file.read_bytes() for file in played.folder.glob("phone.db*"))
    assert all(canary.encode() in phone for canary in (CUSTOMER, EMAIL))
