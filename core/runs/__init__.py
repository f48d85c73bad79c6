"""A run is a folder: what lies in it, what happened in it, and the process that works on it."""

from core.runs.store import ENDED, Follower, Run, RunStore

__all__ = ["ENDED", "Follower", "Run", "RunStore"]
