"""What ties our servers to the notebook kernel that runs them.

Outside a notebook everything here does nothing, so tests and child processes
use the same code as a cell.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["current_cell", "make_interruptible", "on_cell_run"]


def _shell() -> Any | None:
    """The IPython shell of this kernel, or None outside a notebook.

    A plain Python process that never imported IPython must not pay for it.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if hasattr(shell, "kernel") else None


def _cell_key(cell_id: str | None, source: str) -> str:
    """JupyterLab names its cells; nbclient and plain consoles do not."""
    return cell_id or f"source:{hash(source)}"


def current_cell() -> str | None:
    """A key of the cell that runs now, the same when that cell is run again.

    None outside a notebook, and in widget callbacks, which belong to no cell.
    """
    shell = _shell()
    if shell is None:
        return None
    message = shell.get_parent() or {}
    if message.get("header", {}).get("msg_type") != "execute_request":
        return None
    cell_id = message.get("metadata", {}).get("cellId")
    return _cell_key(cell_id, message["content"]["code"])


def on_cell_run(callback: Callable[[str], None]) -> None:
    """Call ``callback(key)`` just before each cell runs. No-op elsewhere."""
    shell = _shell()
    if shell is not None:
        shell.events.register(
            "pre_run_cell",
            lambda info: callback(_cell_key(info.cell_id, info.raw_cell)),
        )


def make_interruptible() -> None:
    """Let the kernel's interrupt button end an awaiting cell at once.

    ipykernel cancels the cell's task from a signal handler, but nothing wakes
    the event loop, so ``await asyncio.sleep(60)`` would run to its end. A loop
    that has any signal handler of its own listens on a wake-up descriptor
    (signal.set_wakeup_fd), and then every signal wakes it.
    """
    if _shell() is None:
        return
    try:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: None)
    except (RuntimeError, ValueError, NotImplementedError, AttributeError):
        pass  # no running loop, not the main thread, or Windows
