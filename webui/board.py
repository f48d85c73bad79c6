"""What the Runs page shows of a run, made once for all who look at it, of which each gets what is new to them.

A viewer asks once a second. Drawing everything for each of twenty would take the server more than the training leaves.
"""

import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, FiniteFloat

from core.runs import BUSY, Run, queue
from core.runs.events import Progress
from webui import language
from webui.render import runs as render
from webui.render.charts import Curves

FRESH = 0.9  # seconds that what was made is shown to whoever asks; a page asks once in one
MOST_BOARDS = 64  # runs looked at, times languages
LOG = "console"  # sent to those who have it open
AGED = 0.2  # seconds between two looks at least, whatever is done in between
LONGEST_NAME = 64  # letters of a run's name


class Span(BaseModel):
    """What a viewer has of the curves, and the span of steps that they look at; all if None."""

    version: str | None = Field(None, max_length=40)
    size: int | None = None
    begin: int | None = None
    next: int | None = None
    window: tuple[FiniteFloat, FiniteFloat] | None = None


class Asked(BaseModel):
    """What a viewer's page asks, as runs.js does: for which run, and what it has already."""

    run: str = Field("", max_length=LONGEST_NAME)
    fresh: bool = False
    at: str | None = Field(None, max_length=40)
    log: str | None = Field(None, max_length=40)
    curves: Span | None = None


class Boards:
    """Every board that somebody looks at; the least looked at are forgotten."""

    def __init__(self) -> None:
        self._boards: OrderedDict[tuple[Path, str, str], Board] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, root: Path, run: str) -> "Board":
        """The board of this run, or of the newest one if `run` is empty, in the language of whoever asks."""
        key = root, run, language.language()
        with self._lock:
            board = self._boards.setdefault(key, Board(run))
            self._boards.move_to_end(key)
            if len(self._boards) > MOST_BOARDS:
                self._boards.popitem(last=False)
        return board


class Board:
    """Parts by name, each with the number of the look at which it last changed."""

    def __init__(self, run: str) -> None:
        self._asked_for = run
        self._epoch = secrets.token_hex(4)  # of two boards, or of one before and after a restart
        # The look, what it showed, and of which run: together, so that who is answered meanwhile gets all of one look.
        self._made: tuple[int, dict[str, tuple[int, Any]], str] = 0, {}, ""
        self._made_at = float("-inf")
        self._making = threading.Lock()
        self._curves = Curves()

    def is_fresh(self) -> bool:
        return time.monotonic() - self._made_at < FRESH

    def age(self) -> None:
        """Something was done: the next one who asks shall see it."""
        if time.monotonic() - self._made_at > AGED:
            self._made_at = float("-inf")

    def make(self, all_runs: Callable[[], list[tuple[Run, Progress]]]) -> None:
        """Look at the runs again, unless somebody else just did."""
        with self._making:
            if self.is_fresh():
                return
            every = {run.name: (run, progress) for run, progress in all_runs()}
            shown = self._asked_for or next(iter(every), "")
            shown = shown if shown in every else ""
            look, before, _ = self._made
            parts = {
                name: before[name] if name in before and before[name][1] == part else (look + 1, part)
                for name, part in self._parts_of(shown, every).items()
            }
            self._made = look + 1, parts, shown
            self._made_at = time.monotonic()

    def news(self, asked: Asked) -> bytes:
        """As JSON, what whoever asks has not seen: after look `at`, and of what the job printed after look `log`, if they
        have that open."""
        since = self._since(asked.at)
        log = self._since(asked.log) if asked.log is not None else None
        now, parts, shown = self._made
        fresh = {
            name: part
            for name, (look, part) in parts.items()
            if (look > since if name != LOG else log is not None and look > log)
        }
        answer = {
            "run": shown,
            "at": f"{self._epoch}.{now}",
            "parts": fresh,
            "curves": self._curves.news((asked.curves or Span()).model_dump()) if shown else None,
        }
        return json.dumps(answer, allow_nan=False, separators=(",", ":")).encode()

    def _since(self, at: str | None) -> int:
        epoch, _, look = (at or "").partition(".")
        return int(look) if epoch == self._epoch and look.isdecimal() else -1

    def _parts_of(self, shown: str, every: dict[str, tuple[Run, Progress]]) -> dict[str, Any]:
        above: dict[str, Any] = {
            "line": render.line(queue.waiting(every.values())),
            "order": list(every),
            **{f"row:{name}": render.row(run, progress) for name, (run, progress) in every.items()},
        }
        if not shown:
            return above | {"acts": []}
        run, progress = every[shown]
        self._curves.follow(progress.steps)
        return above | {
            "acts": render.acts(run, progress),
            "status": render.status_block(run, progress),
            "ways": render.ways_on(run, progress),
            "tab": render.tab(run, progress),
            "ended": "" if progress.state in BUSY else render.ended(run, progress),
            "end": max(progress.total_steps, progress.step, 1),
            "held": [[each.step, each.loss] for each in progress.held_out],
            "warnings": [[each.step, language.said(each.text)] for each in progress.warnings],
            "samples": render.samples(progress),
            "noted": render.notes(progress) + render.published(progress),
            LOG: render.console(run),
        }
