"""Load on a server, what it showed, and what theory expects. No notebook needed."""

from helpers.measure.heartbeat import heartbeat
from helpers.measure.load import closed_loop, open_loop
from helpers.measure.result import Result
from helpers.measure.stopwatch import timed

__all__ = ["Result", "closed_loop", "heartbeat", "open_loop", "timed"]
