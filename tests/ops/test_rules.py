"""Alert rules and dashboard: every metric and label they name is one that `/metrics` has; every rule has its page."""

import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml  # type: ignore[import-untyped]  # comes with the test tools
from prometheus_client import Counter, Gauge, Histogram

from server import meters
from server.ops.exposition import expose
from server.ops.figures import Watch
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.clock import encode_instant
from tests.outbox.outlet import Outlet, Scripted, open_outlet

ROOT = Path(__file__).parents[2]
RULES = ROOT / "server/ops/prometheus/alerts.yml"
DASHBOARD = ROOT / "server/ops/grafana/rientro.json"
RUNBOOK = ROOT / "claude/runbook.md"
PROMETHEUS_OWN = {"up": {"job", "instance"}}
TARGETS_OWN = {"instance", "job", "le"}
_TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)
_LABELS = re.compile(r"^(rientro_\w+)\{(.*?)\} ", re.MULTILINE)
_SELECTOR = re.compile(r"\b(rientro_\w+|up)\b(?:\{([^}]*)\})?")
_GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")

_ENDING = Statement(
    """INSERT INTO secret_dates (tenant_id, endpoint_id, name, set_at, expires_at)
       VALUES (:tenant_id, :endpoint_id, 'client_certificate', :now, :now)"""
)


@pytest.fixture
async def text(sqlite_url: str) -> AsyncIterator[str]:
    """What a server tells that has one account, reached it, and has a certificate for it that ends."""
    async with open_outlet(sqlite_url) as outlet:
        await _reach(outlet)
        yield expose(await Watch(outlet.database, outlet.clock, Path()).figures(), 1000).decode()


@pytest.fixture
async def known(text: str) -> dict[str, set[str]]:
    """The labels of every metric."""
    names = {name: set[str]() for name, kind in _TYPE.findall(text) if kind != "histogram"}
    for instrument in vars(meters).values():
        if isinstance(instrument, Counter | Gauge | Histogram):
            for name in _series(instrument):
                names[name] = set(instrument._labelnames)
    for name, labels in _LABELS.findall(text):
        if name in names:
            names[name] |= set(re.findall(r"(\w+)=", labels))
    return names | PROMETHEUS_OWN


async def _reach(outlet: Outlet) -> None:
    endpoint_id = await outlet.bind()
    await outlet.sell()
    await outlet.relay(Scripted()).drain()
    row = {"tenant_id": outlet.tenant_id, "endpoint_id": endpoint_id, "now": encode_instant(outlet.clock())}

    async def date(writing: Writing) -> None:
        await writing.tx.execute(_ENDING, row)

    await outlet.writer.submit(Job([], date))


def _series(instrument: Any) -> Iterator[str]:
    match instrument:
        case Counter():
            yield f"{instrument._name}_total"
        case Histogram():
            yield from (f"{instrument._name}_{part}" for part in ("bucket", "sum", "count"))
        case _:
            yield instrument._name


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def _expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in _rules())
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def _wrong(expression: str, known: Mapping[str, set[str]]) -> Iterator[str]:
    used = set(TARGETS_OWN)
    for name, matchers in _SELECTOR.findall(expression):
        used |= known.get(name, set())
        if name not in known:
            yield name
        for label in re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", matchers):
            if label not in known.get(name, set()) | TARGETS_OWN:
                yield f"{name}{{{label}}}"
    for labels in _GROUPING.findall(expression):
        yield from (f"by {label}" for label in re.split(r"\W+", labels) if label and label not in used)


async def test_every_metric_and_label_of_rules_and_dashboard_exists(known: dict[str, set[str]]) -> None:
    """A rule on a metric that nobody tells never fires, and nobody notices."""
    wrong = [(expression, found) for expression in _expressions() if (found := list(_wrong(expression, known)))]
    assert wrong == []
    assert list(_wrong('sum by (flavour) (rientro_no_such{x="1"})', known)) == ["rientro_no_such", "rientro_no_such{x}",
                                                                               "by flavour"]  # fmt: skip


async def test_every_metric_is_shown_or_watched(known: dict[str, set[str]]) -> None:
    """What nobody looks at need not be counted."""
    looked_at = " ".join(_expressions())
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known if name.startswith("rientro_")}
    assert sorted(name for name in ours if name not in looked_at) == ["rientro_integrations_left_out"]


def test_every_rule_has_its_page() -> None:
    """A heading of the runbook, by the address that its renderer gives it."""
    headings = re.findall(r"^#+ (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    pages = {rule["alert"]: rule["annotations"]["runbook"] for rule in _rules()}
    assert {name: page for name, page in pages.items() if page.partition("#")[2] not in anchors} == {}
    assert all(rule["labels"]["severity"] in {"page", "ticket"} for rule in _rules())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on this machine")
async def test_promtool_accepts_rules_and_metrics(text: str) -> None:
    """Prometheus' own judgement of both."""
    for arguments, given in ((["check", "rules", str(RULES)], ""), (["check", "metrics"], text)):
        checked = await anyio.run_process(["promtool", *arguments], input=given.encode(), check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on this machine")
async def test_the_rules_say_over_time_what_they_should() -> None:
    """Played by Prometheus' own tool: when they fire, for whom, and when they keep quiet."""
    checked = await anyio.run_process(
        ["promtool", "test", "rules", str(ROOT / "tests/ops/alerts_test.yml")], check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_runbook_names_every_alarm() -> None:
    """Whatever the code can log with `alarm`: somebody will search for it."""
    said = RUNBOOK.read_text()
    logged: set[str] = set()
    for file in (Path(__file__).parents[2] / "server").rglob("*.py"):
        for call in re.findall(r"log\.\w+\((.*?)\n?[ ]*\)\n", file.read_text(), re.DOTALL):
            event = re.match(r'\s*"([a-z_]+)"', call)
            if event is not None and re.search(r"\balarm=(?!False)", call):
                logged.add(event[1])
    missing = {event for event in logged if event not in said and f"…_{event.split('_', 1)[-1]}" not in said}
    assert len(logged) > 10
    assert missing == set()
