"""The errors are what the head of their file draws, each with a code of its own."""

import re

import httpx
import pytest

from sync.client import errors
from sync.client.options import Options
from sync.client.runtime import Runtime
from sync.client.taking import Outgoing
from sync.client.transport import Transport
from tests.support.cutting import cutting_peer

TREE = re.compile(r"^[ │├└─]*?(\w+Error)\b", re.MULTILINE)


def test_the_tree_at_the_head_is_the_tree_of_classes() -> None:
    """Names and depths agree, and `__all__` lists them all."""
    assert errors.__doc__ is not None
    drawn = [(match.group(1), (match.start(1) - match.start()) // 4) for match in TREE.finditer(errors.__doc__)]
    depths = {name: len(getattr(errors, name).__mro__) - errors.ClientError.__mro__.__len__() for name, _ in drawn}
    assert {name: depth - 1 for name, depth in drawn} == depths
    assert sorted(name for name, _ in drawn) == errors.__all__


def test_every_error_has_a_code_of_its_own() -> None:
    """Codes are stable names that programs may compare."""
    codes = [getattr(errors, name).code for name in errors.__all__]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


def test_an_error_speaks_for_itself() -> None:
    """Its docstring is its message where nothing else is said."""
    assert str(errors.SignedOutError()) == errors.SignedOutError.__doc__


async def test_a_connection_that_is_cut_off_while_it_is_made_is_no_network() -> None:
    """A thousand times: the loop backs off and goes on, whatever the libraries below say of it."""
    async with httpx.AsyncClient() as http:
        with cutting_peer() as port:
            transport = Transport(http, f"http://127.0.0.1:{port}", Options(), Runtime())
            for _ in range(1000):
                with pytest.raises(errors.UnreachableError):
                    await transport.sync(
                        Outgoing("0192f0c1-0000-7000-8000-000000000001", None, None, [], starts_round=True)
                    )
