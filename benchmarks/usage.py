"""What processes used, read from /proc: CPU time and peak memory of a process and all it started. Linux only."""

import os
from collections.abc import Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        try:
            tasks = list((_PROC / str(one) / "task").iterdir())
            waiting += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:  # it ended meanwhile
            continue
        found.append(one)
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time so far, that of ended and awaited children included."""
    ticks = 0
    for one in (member for pid in pids for member in family(pid)):
        fields = (_PROC / str(one) / "stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS


def peak_memory_mib(pids: Sequence[int]) -> float:
    """The sum of each process's highest resident size, by the kernel's own count."""
    total = 0
    for one in (member for pid in pids for member in family(pid)):
        for line in (_PROC / str(one) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                total += int(line.split()[1])
    return total / 1024
