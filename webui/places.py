"""Places for processes that a page waits for: there are few, so nobody holds two, and on a Space all strangers together one."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.errors import UserError
from webui.visitors import current, page

LOOK = 0.1  # seconds between two looks for a free place
MOST_WAITING = 4  # pages of one visitor: each that waits holds one of the server's threads
STRANGERS = "strangers"  # are one visitor: nothing tells a person with ten pages from ten persons


class Places:
    def __init__(self, most: int, on_a_space: bool) -> None:
        self.most = most
        self.on_a_space = on_a_space
        self._held: set[str] = set()
        self._waiting: Counter[str] = Counter()
        self._changing = threading.Lock()

    @contextmanager
    def one(self, wanted: Callable[[], bool]) -> Iterator[bool]:
        """A place for whoever asks, as soon as there is one; False if it is not wanted any more before that.

        UserError where too many pages of the same visitor wait for one.
        """
        who = self._asking()
        held = self._wait(who, wanted)
        try:
            yield held
        finally:
            if held:
                with self._changing:
                    self._held.remove(who)

    def _wait(self, who: str, wanted: Callable[[], bool]) -> bool:
        with self._changing:
            if self._waiting[who] >= MOST_WAITING:
                raise UserError(
                    "Too many pages wait for their plans at the moment: change a setting in a minute, to try again."
                )
            self._waiting[who] += 1
        try:
            while wanted():
                if self._take(who):
                    return True
                time.sleep(LOOK)
            return False
        finally:
            with self._changing:
                self._waiting[who] -= 1

    def _take(self, who: str) -> bool:
        with self._changing:
            is_free = who not in self._held and len(self._held) < self.most
            if is_free:
                self._held.add(who)
        return is_free

    def _asking(self) -> str:
        """On a Space the account, however many of its pages are open; elsewhere the page."""
        if not self.on_a_space:
            return f"page {page()}"
        visitor = current()
        return f"account {visitor.id}" if visitor else STRANGERS
