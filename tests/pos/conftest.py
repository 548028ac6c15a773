"""The vendors, and a shop at each of them."""

from collections.abc import AsyncIterator, Iterator
from io import StringIO

import pytest

from tests.pos.counter import Counter, open_counter
from tests.support.logged import logged
from tests.support.vendors import Vendors, vendors_process


@pytest.fixture(autouse=True)
def logs() -> Iterator[StringIO]:
    """All that is logged, as the server writes it."""
    with logged("INFO") as stream:
        yield stream


@pytest.fixture(scope="session")
async def _vendors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Vendors]:
    async with vendors_process(tmp_path_factory.mktemp("vendors")) as process:
        yield process


@pytest.fixture
async def vendors(_vendors: Vendors) -> Vendors:
    """The vendors, one process for all tests, with nothing rung up yet."""
    await _vendors.clear()
    return _vendors


@pytest.fixture
async def square(database_url: str, vendors: Vendors) -> AsyncIterator[Counter]:
    """A shop at Square, once on each kind of database."""
    async with open_counter(database_url, vendors, "square") as opened:
        yield opened


@pytest.fixture
async def shopify(sqlite_url: str, vendors: Vendors) -> AsyncIterator[Counter]:
    """A shop at Shopify; what differs between databases is shown at Square."""
    async with open_counter(sqlite_url, vendors, "shopify") as opened:
        yield opened


@pytest.fixture
async def sumup(sqlite_url: str, vendors: Vendors) -> AsyncIterator[Counter]:
    """A shop at SumUp; what differs between databases is shown at Square."""
    async with open_counter(sqlite_url, vendors, "sumup") as opened:
        yield opened
