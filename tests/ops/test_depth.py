"""How many waited at past moments, and the oldest for how long."""

from server.ops.depth import MOST, depth_of
from sync.clock import encode_instant


def at(second: int) -> str:
    """An instant so many seconds after 1970."""
    return encode_instant(second * 1000)


def test_each_row_waits_from_its_beginning_until_its_end() -> None:
    """The moment it ends it waits no more; one without an end waits still."""
    rows = [(at(10), at(30)), (at(20), None), (at(5), at(10))]
    depth = depth_of(rows, [second * 1000 for second in (0, 5, 10, 25, 30, 50)])
    assert depth.waiting == [0, 1, 1, 2, 1, 1]
    assert depth.oldest_s == [0.0, 0.0, 0.0, 15.0, 10.0, 30.0]


def test_the_oldest_is_found_behind_one_that_is_over() -> None:
    """A long wait that has ended does not hide the one that goes on."""
    rows = [(at(0), at(40)), (at(10), at(20)), (at(15), None)]
    depth = depth_of(rows, [second * 1000 for second in (18, 39, 41)])
    assert depth.waiting == [3, 2, 1]
    assert depth.oldest_s == [18.0, 39.0, 26.0]


def test_nothing_waits_where_there_is_nothing() -> None:
    """And it is said when more rows were there than are read."""
    assert depth_of([], [0, 1000]) == ([0, 0], [0.0, 0.0], False)
    assert depth_of([(at(0), at(1))] * MOST, [2000]).cut
