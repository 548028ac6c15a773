"""The kernel's purity as closed lists: import-linter forbids by name, here what is not listed is refused.

The kernel (sync.*) is a function of what it is given: no I/O, no clock, no randomness. Its client (sync.client) sits
on top of it, may use the standard library and two packages, and is never imported from below.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sync

KERNEL_MAY_IMPORT = {
    "sync", "pydantic", "pydantic_core", "typing_extensions",
    "abc", "base64", "binascii", "bisect", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "hmac", "itertools", "json", "math", "operator",
    "re", "string", "struct", "types", "typing", "unicodedata", "uuid", "zlib",
}  # fmt: skip
CLIENT_MAY_IMPORT = {
    "sync",
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "httpx",
    "anyio",
    *sys.stdlib_module_names,
}
IMPURE = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "uuid1", "uuid4", "uuid6", "uuid7", "uuid.uuid1", "uuid.uuid4", "uuid.uuid6", "uuid.uuid7", "uuid.getnode",
    "open", "print", "input", "breakpoint", "exec", "eval", "__import__",
}  # fmt: skip

ROOT = Path(sync.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
CLIENT = [file for file in FILES if "client" in file.relative_to(ROOT).parts]
KERNEL = [file for file in FILES if file not in CLIENT]


def imported(source: str) -> set[str]:
    """Give the full names of all modules that `source` imports, wherever in it."""
    return {name for node in ast.walk(ast.parse(source)) for name in _names(node)}


def mentioned(source: str) -> set[str]:
    """Give every `name` and every last two steps `owner.attribute` that `source` mentions, called or not."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {f"{_last(node.value)}.{node.attr}" for node in nodes if isinstance(node, ast.Attribute)}


def top(names: set[str]) -> set[str]:
    """Give the top-level packages of module names."""
    return {name.split(".")[0] for name in names}


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "sync" if node.level else node.module or ""  # relative: still ours
        yield module
        yield from (f"{module}.{alias.name}" for alias in node.names)


def _last(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def name_of(file: Path) -> str:
    """Name a file in a test's id."""
    return str(file.relative_to(ROOT.parent))


@pytest.mark.parametrize("file", KERNEL, ids=name_of)
def test_the_kernel_imports_only_what_is_pure(file: Path) -> None:
    """Every import of a kernel module is on the closed list, and none is the client's."""
    names = imported(file.read_text())
    assert top(names) - KERNEL_MAY_IMPORT == set()
    assert {name for name in names if name.startswith("sync.client")} == set()


@pytest.mark.parametrize("file", KERNEL, ids=name_of)
def test_the_kernel_asks_no_clock_and_no_dice(file: Path) -> None:
    """What the closed list lets in (datetime, uuid, builtins) is not used for time, randomness or files."""
    assert mentioned(file.read_text()) & IMPURE == set()


def test_the_client_needs_two_packages_only() -> None:
    """The client runs on the standard library, pydantic, httpx and anyio."""
    names = {name for file in CLIENT for name in imported(file.read_text())}
    assert top(names) - CLIENT_MAY_IMPORT == set()


def test_there_is_a_kernel_to_look_at() -> None:
    """The tests above would pass on nothing."""
    assert "dataclasses" in {name for file in KERNEL for name in imported(file.read_text())}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import time", "time"),
        ("from os import path", "os"),
        ("def f():\n    import sqlite3 as s", "sqlite3"),
        ("import urllib.request", "urllib.request"),
        ("from sync import client", "sync.client"),
        ("from sync.client import loop", "sync.client.loop"),
    ],
)
def test_an_import_is_found_wherever_it_hides(source: str, name: str) -> None:
    """Each form of import is seen."""
    assert name in imported(source)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("datetime.datetime.now(UTC)", "datetime.now"),
        ("field(default_factory=uuid.uuid4)", "uuid.uuid4"),
        ("from uuid import uuid4 as u\nf(uuid4)", "uuid4"),
        ("open('x')", "open"),
    ],
)
def test_a_clock_is_found_also_when_it_is_only_handed_on(source: str, name: str) -> None:
    """A call, an attribute and a name are seen alike."""
    assert name in mentioned(source) & IMPURE
