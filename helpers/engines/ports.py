"""Ports: a free one for an engine, and who listens where."""

from __future__ import annotations

import ipaddress
import socket

import psutil

__all__ = ["free_port", "is_free", "is_loopback", "listening"]


def free_port(host: str) -> int:
    """A port that is free now; somebody may take it before an engine does."""
    with socket.create_server((host, 0)) as listener:
        return listener.getsockname()[1]


def is_free(host: str, port: int) -> bool:
    """Whether one could listen there now."""
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Whether no other machine can reach it."""
    # IPv4 as IPv6 shows it, ::ffff:127.0.0.1, is no loopback address to Python 3.11.
    ip = ipaddress.ip_address(address)
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def listening(pid: int) -> set[tuple[str, int]] | None:
    """(address, port) of every TCP listener of a process and its descendants.

    None where the system does not let us know.
    """
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return {
            tuple(connection.laddr)
            for member in family
            for connection in member.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
    except psutil.NoSuchProcess:
        return set()
    except psutil.AccessDenied:
        return None
