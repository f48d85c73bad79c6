"""Who has joined the process that answers, so that it ends with the last of them."""

import threading
import uuid

from core.talk import ENDING
from core.talk.requests import RefusedError

STARTER = "starter"  # until it joins as the others do


class Users:
    """One that was started by name is `lasting`: it does not end for want of users."""

    def __init__(self, lasting: bool) -> None:
        self.lasting = lasting
        self._there = set() if lasting else {STARTER}
        self._over = False
        self._changing = threading.Lock()  # nobody joins between the last one's leaving and the end

    def join(self, started: bool = False) -> str:
        """A name to leave with. RefusedError if the process is ending."""
        with self._changing:
            if self._over:
                raise RefusedError("The process that answers is being ended.", 503, code=ENDING)
            if started:
                self._there.discard(STARTER)
            self._there.add(name := uuid.uuid4().hex)
        return name

    def leave(self, name: str) -> bool:
        """Whether that was the last one, and the process ends."""
        with self._changing:
            self._there.discard(name)
            self._over = not self._there and not self.lasting
            return self._over
