"""The machine that is measured on, and the CPU time of a process on it (Linux: /proc)."""

import os
import platform
import socket
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("trio", "trio-websocket", "wsproto", "msgspec", "PyYAML", "jsonschema", "jsonschema-rs")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time, user and system, that all threads of a process have used so far."""
    # proc(5): the command's name, field 2, may hold blanks; utime and stime are fields 14 and 15
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


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
