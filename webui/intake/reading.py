"""Reading goes on in a process of its own; who asks for something else meanwhile does not wait for it."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core import children

LOOK = 0.2  # seconds between two looks whether there is an answer, or another question
LONGEST = 15 * 60  # seconds until reading is given up
TOO_LONG = "Reading took more than 15 minutes and was given up: choose fewer or smaller files."


class Readings:
    """Of each open page, the question that was asked last.

    gradio can cancel an event, but where that comes as the event ends, the page waits for ever.
    """

    def __init__(self) -> None:
        self._asked: dict[str, str] = {}
        self._changing = threading.Lock()

    def answer(
        self,
        page: str,
        question: str,
        arguments: list[str],
        token: str | None = None,
        downloads: Path | None = None,
    ) -> Iterator[int | dict[str, Any]]:
        """The seconds it has taken so far, then the answer.

        Nothing more once the page asks something else, which ends the process; and nothing at all if it asks for what
        is being read already. UserError if there is no answer.
        """
        with self._changing:
            if self._asked.get(page) == question:
                return
            self._asked[page] = question
        try:
            with children.Asked(*arguments, token=token, downloads=downloads) as asked:
                yield from asked.seconds_passing(
                    LOOK, lambda: self._asked.get(page) == question, LONGEST, TOO_LONG
                )
                if self._asked.get(page) == question:
                    yield asked.answer()
        finally:
            with self._changing:
                if self._asked.get(page) == question:
                    del self._asked[page]
