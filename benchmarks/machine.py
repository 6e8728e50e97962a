"""The machine that is measured on, and the CPU time and memory of a process on it (Linux)."""

import os
import platform
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("trio", "trio-websocket", "wsproto", "msgspec", "PyYAML", "jsonschema", "jsonschema-rs")
_CPU_CLOCK = 2
"""CPUCLOCK_SCHED of the kernel's posix-timers.h: all threads, those that ended too, in nanoseconds."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU time, user and system, that all threads of a process have used so far."""
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK)  # clock_getcpuclockid(3), which Python has for threads only


def busy_seconds() -> float:
    """Return the time that all cores together have been at work since the machine began, in whatever program, and with
    what a hypervisor gave to others."""
    # proc(5): the first line has user, nice, system, idle, iowait, irq, softirq, steal; guests are in user.
    ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Return the memory of a process in user space that is in RAM; what sockets hold in the kernel is not in it."""
    # proc(5): unlike statm and status, smaps_rollup counts pages and does not estimate
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Rss")


def cores() -> tuple[int | None, int | None]:
    """Return a core for relays and one for their peers; None, None where there is one only."""
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Let processes that are started in the block run on `core` only, with all their threads."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_descriptor_limit() -> int:
    """Allow this process and its children as many descriptors as they may have; return how many that is."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def describe() -> list[str]:
    """Return what a reader has to know of this machine to compare figures, one fact a line."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return [
        f"{os.cpu_count()} × {_processor()}, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}; {libraries}",
    ]


def free_port() -> int:
    """Return a TCP port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
