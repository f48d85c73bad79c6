"""A run is a folder: what lies in it, what happened in it, and the process that works on it."""

from core.runs.events import BUSY, ENDED
from core.runs.store import Follower, Run, RunStore

__all__ = ["BUSY", "ENDED", "Follower", "Run", "RunStore"]
