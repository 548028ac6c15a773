"""Tells what happens: a line for each event, with bars below where somebody watches; plain lines anywhere else."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

_PLAIN_WIDTH = 118


class Narrator:
    """Speaks to one console."""

    def __init__(self, console: Console) -> None:
        """Nothing is said yet; the clock runs."""
        self._console, self._began = console, time.monotonic()
        columns = (TextColumn("  {task.description:<22}"), BarColumn(40), MofNCompleteColumn())
        self._bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self._began

    def chapter(self, title: str) -> None:
        """A new part begins."""
        self._console.print(f"\n[bold]{title}[/bold]", highlight=False)

    def say(self, text: str) -> None:
        """Something happened."""
        line = Table.grid(padding=(0, 2))
        line.add_row(f"[dim]{self.seconds:6.1f} s[/dim]", text)
        self._console.print(line)

    @contextmanager
    def bars(self, totals: Mapping[str, int]) -> Iterator[None]:
        """Show bars until the block ends."""
        self._tasks = {name: self._bars.add_task(name, total=total) for name, total in totals.items()}
        with self._bars:
            yield

    def show(self, counts: Mapping[str, int]) -> None:
        """Move the bars."""
        for name, count in counts.items():
            if name in self._tasks:
                self._bars.update(self._tasks[name], completed=count)


def make_console() -> Console:
    """Standard output; wide enough for the table where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, _PLAIN_WIDTH))
