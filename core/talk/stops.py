"""Texts that end an answer, found while it grows."""

from collections.abc import Sequence


class Until:
    """`add` each text, then `rest`: together they return what stands before the stop that is complete first, however the
    text is cut into pieces. A text that may be the beginning of a stop is held back until that is known."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = stops
        self.found = False
        self._held = ""

    def add(self, text: str) -> str:
        if self.found:
            return ""
        self._held += text
        places = [(place + len(stop), place) for stop in self.stops if (place := self._held.find(stop)) >= 0]
        if places:
            _, place = min(places)  # the first to be complete, which it is however the text is cut
            self.found, certain, self._held = True, self._held[:place], ""
            return certain
        keep = max((_begun(self._held, stop) for stop in self.stops), default=0)
        certain, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return certain

    def rest(self) -> str:
        held, self._held = self._held, ""
        return held


def _begun(text: str, stop: str) -> int:
    """How many of the last characters are the first ones of `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
