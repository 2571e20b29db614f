"""Memory by whom it belongs to: a process alone, the kernel; and what is still free.

What sockets take in the kernel belongs to no process. It is in the kernel's slabs (the
socket, its inode, its file, its place in epoll) and in its TCP buffers (what was sent
and is not read yet), and there are only sums of those. So look twice and take the
difference. Whose sum it is depends on what one may read here, the best first:

    sockets     /proc/slabinfo, for root: the objects of sockets alone. What a slab
                leaves unused at its end and security labels are some 7 % more.
    container   memory.stat of our own group (cgroup v2): all slabs, but ours alone
    machine     /proc/meminfo: all slabs of all; what goes on beside us counts too
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import psutil

__all__ = ["available", "kernel_memory", "kernel_source", "private"]

CGROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc")
SOCKET_SLABS = {"TCP", "sock_inode_cache", "dentry", "filp", "eventpoll_epi"}


def private(pid: int | None = None) -> int:
    """Bytes that would be free if this process ended: its unique set size.

    Other than the resident set it has no part in libraries that others map too.
    Raises ProcessLookupError when there is no such process.
    """
    try:
        return psutil.Process(pid).memory_full_info().uss
    except psutil.NoSuchProcess:
        raise ProcessLookupError(f"there is no process {pid}") from None


def kernel_memory() -> float:
    """Bytes in the kernel's slabs and TCP buffers now; nan where nothing tells it."""
    match kernel_source():
        case "sockets":
            return _sockets() + _tcp_buffers()
        case "container":
            group = _own_group()
            return group["slab"] + group["sock"]
        case "machine":
            return _numbers(PROC / "meminfo")["Slab"] * 1024 + _tcp_buffers()
    return math.nan


def kernel_source() -> str:
    """Whose memory :func:`kernel_memory` tells: see the top of this module."""
    # Where the kernel keeps two kinds of one size in one slab, a name is missing.
    if _socket_slabs().keys() == SOCKET_SLABS:
        return "sockets"
    if {"slab", "sock"} <= _own_group().keys():
        return "container"
    return "machine" if "Slab" in _numbers(PROC / "meminfo") else "unknown"


def available() -> int:
    """Bytes that we and our children may still take, by the tightest bound."""
    free = psutil.virtual_memory().available
    for limit, usage in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),  # cgroup v1
    ):
        most, used = _number(CGROUP / limit), _number(CGROUP / usage)
        if most is not None and used is not None:
            free = min(free, most - used)
    return max(free, 0)


def _sockets() -> int:
    slabs = _socket_slabs()
    count = {name: objects for name, (objects, _) in slabs.items()}
    # A socket has one of each of these. Others on the machine open files all the time,
    # which would count too; but few make inodes of sockets.
    count["dentry"] = count["filp"] = count["sock_inode_cache"]
    return sum(count[name] * size for name, (_, size) in slabs.items())


def _socket_slabs() -> dict[str, tuple[int, int]]:
    """Objects and their size; a line is: name, objects in use, objects, size, …"""
    lines = re.findall(r"^(\w+) +\d+ +(\d+) +(\d+) ", _text(PROC / "slabinfo"), re.M)
    return {
        name: (int(objects), int(size))
        for name, objects, size in lines
        if name in SOCKET_SLABS
    }


def _own_group() -> dict[str, int]:
    """A container sees its own group as the root; elsewhere it has a path."""
    path = re.search(r"^0::/(.*)$", _text(PROC / "self" / "cgroup"), re.M)
    return _numbers(CGROUP / (path[1] if path else "") / "memory.stat")


def _tcp_buffers() -> int:
    """/proc/net/sockstat counts them in pages."""
    found = re.search(r"^TCP:.* mem (\d+)", _text(PROC / "net" / "sockstat"), re.M)
    return int(found[1]) * os.sysconf("SC_PAGE_SIZE") if found else 0


def _numbers(path: Path) -> dict[str, int]:
    """Lines of ``name number`` or ``name: number kB``."""
    pairs = re.findall(r"^(\w+):? +(\d+)", _text(path), re.M)
    return {name: int(number) for name, number in pairs}


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None  # "max": there is no limit


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
