"""How many threads the encoder may use: never more than there are cores for this process."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def usable_cores() -> int:
    """Physical cores that this process may use: affinity, container quota and hyper-threads counted in."""
    allowed = _allowed()
    cores = min(len(allowed), _physical(allowed))
    quota = _quota()
    return max(1, cores if quota is None else min(cores, int(quota + 0.5)))


def _allowed() -> set[int]:
    if sys.platform == "linux":
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _physical(allowed: set[int]) -> int:
    """Distinct cores among logical ones; two hyper-threads share the unit that multiplies matrices."""
    cores = set()
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text("ascii").strip())
        except OSError:
            return len(allowed)  # not Linux, or a sandbox that hides it
    return len(cores)


def _quota() -> float | None:
    """CPUs that a container grants (cgroup v2), None where it sets no limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        return None
