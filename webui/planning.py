"""Plans go on in processes of their own: who changes a setting waits for no plan of what it was before."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core import children
from webui.places import Places

LOOK = 0.1  # seconds between two looks whether there is a plan, or another question
SETTLED = 0.4  # seconds without a change until a plan is begun: nobody waits for one while typing
FRESH = 10 * 60  # seconds for which a plan stands for what the device can do
LONGEST = 10 * 60  # seconds until a plan is given up
TOO_LONG = "The plan took more than 10 minutes and was given up; the training can be started all the same."
KEPT = 200  # plans, and open pages

Question = tuple[Any, ...]
Seen = dict[str, Any]  # what `atelier plan --json` says


class Plans:
    """What each open page asks now, and what was planned lately for whoever asks the same."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._wanted: OrderedDict[str, Question | None] = OrderedDict()
        self._busy: dict[str, Question] = {}
        self._known: OrderedDict[Question, tuple[float, Seen]] = OrderedDict()
        self._changing = threading.Lock()

    def want(self, page: str, question: Question | None) -> None:
        """What the page asks from now on, which ends the process that answers anything else; None for nothing."""
        with self._changing:
            _put(self._wanted, page, question)

    def known(self, question: Question) -> Seen | None:
        """The plan, if it was made lately."""
        with self._changing:
            made, seen = self._known.get(question, (0.0, None))
        return seen if time.monotonic() - made < FRESH else None

    def answer(
        self, page: str, question: Question, arguments: list[str], token: str | None, downloads: Path | None
    ) -> Iterator[int | Seen]:
        """The seconds it has taken so far, then the plan; nothing more once the page asks something else.

        UserError if no plan can be made.
        """
        if self._wanted.get(page) != question:
            return
        if seen := self.known(question):
            yield seen
            return
        with self._changing:
            if self._busy.get(page) == question:
                return
            self._busy[page] = question
        try:
            yield 0
            if self._still_wants(page, question, SETTLED):
                yield from self._make(page, question, arguments, token, downloads)
        finally:
            with self._changing:
                if self._busy.get(page) == question:
                    del self._busy[page]

    def _make(
        self, page: str, question: Question, arguments: list[str], token: str | None, downloads: Path | None
    ) -> Iterator[int | Seen]:
        def wanted() -> bool:
            return self._wanted.get(page) == question

        with self._places.one(wanted) as held:
            if not held:
                return
            if seen := self.known(question):  # somebody else asked the same meanwhile
                yield seen
                return
            with children.Asked("plan", *arguments, token=token, downloads=downloads) as asked:
                yield from asked.seconds_passing(LOOK, wanted, LONGEST, TOO_LONG)
                if not asked.done(0):
                    return
                seen = asked.answer()
        with self._changing:
            _put(self._known, question, (time.monotonic(), seen))
        if self._wanted.get(page) == question:
            yield seen

    def _still_wants(self, page: str, question: Question, seconds: float) -> bool:
        """Whether the page asks the same after so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._wanted.get(page) != question:
                return False
            time.sleep(LOOK / 2)
        return True


def stamped(files: list[str]) -> tuple[tuple[str, int], ...]:
    """The files' names, with when they changed last; what is no file here never does."""
    return tuple((name, Path(name).stat().st_mtime_ns if Path(name).is_file() else 0) for name in files)


def _put(kept: OrderedDict, key: Any, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)
