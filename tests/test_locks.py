"""The locks in requirements/ are complete, hashed, agree with each other, and name no place to download from."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCKS = ["bootstrap", "run", "dev", "peers"]
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)
ADDRESS = re.compile(r"://|^\s*(-i|-f|--(extra-)?index-url|--find-links)\b", re.MULTILINE)


def text_of(lock: str) -> str:
    """Read a lock."""
    return (ROOT / "requirements" / f"{lock}.lock").read_text()


def pins_of(lock: str) -> dict[str, set[Version]]:
    """Read the pinned versions of a lock: one a package, or several where systems differ."""
    pins: dict[str, set[Version]] = defaultdict(set)
    for name, version in PIN.findall(text_of(lock)):
        pins[canonicalize_name(name)].add(Version(version))
    return pins


def project() -> dict[str, Any]:
    """Read pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def wanted(lock: str) -> list[Requirement]:
    """Give what pyproject.toml asks of a lock."""
    groups = project()["dependency-groups"]
    listed = {
        "bootstrap": groups["bootstrap"],
        "run": project()["project"]["dependencies"],
        "peers": groups["peers"],
        "dev": [*groups["bootstrap"], *(entry for entry in groups["dev"] if isinstance(entry, str))],
    }
    return [Requirement(entry) for entry in listed[lock]]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    """Where packages come from is the machine's business."""
    assert ADDRESS.search(text_of(lock)) is None


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    """Nothing is installed whose content is not known."""
    entries = re.split(r"\n(?=[^ #])", text_of(lock))[1:]
    assert [entry for entry in entries if not (PIN.match(entry) and "--hash=sha256:" in entry)] == []
    assert len(entries) >= len(pins_of(lock)) > 0


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_the_project_asks_for(lock: str) -> None:
    """Someone who adds a dependency runs `make lock`."""
    pins = pins_of(lock)
    missing = [
        str(requirement)
        for requirement in wanted(lock)
        if not any(
            requirement.specifier.contains(version, prereleases=True)
            for version in pins.get(canonicalize_name(requirement.name), ())
        )
    ]
    assert missing == []


@pytest.mark.parametrize("lock", ["bootstrap", "run"])
def test_tests_run_on_the_versions_that_ship(lock: str) -> None:
    """The development lock holds every pin of the other two."""
    dev = pins_of("dev")
    assert {name: dev.get(name) for name in pins_of(lock)} == pins_of(lock)


@pytest.mark.parametrize("folder", ["pwa", "tests/peers"])
def test_a_lock_of_node_packages_names_no_place(folder: str) -> None:
    """The tool writes download addresses unless told not to."""
    lock = ROOT / folder / "package-lock.json"
    if lock.exists():
        assert '"resolved"' not in lock.read_text()


@pytest.mark.parametrize("line", ["--index-url https:", "-f wheels", "x @ git+ssh://host/x", "    --find-links here"])
def test_a_place_would_be_seen(line: str) -> None:
    """The pattern finds each way to name a place."""
    assert ADDRESS.search(f"a==1\n{line}\n") is not None
