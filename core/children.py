"""Asking another process for what needs torch or transformers, so that the page never loads them."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.runs.jobs import child_environment


def ask(
    *arguments: str, token: str | None = None, downloads: Path | None = None, timeout: float = 120
) -> dict[str, Any]:
    """The object that `atelier <arguments> --json` prints; its one-sentence error comes back as UserError.

    Where nothing can be used but there is something to say of it, the object holds that sentence as `error`.
    """
    with Asked(*arguments, token=token, downloads=downloads) as asked:
        if not asked.done(timeout):
            raise UserError(f"`{asked.called}` did not answer within {timeout:.0f} seconds.")
        return asked.answer()


class Asked:
    """A process at work on a question. Leaving the `with` ends it, whether or not it has answered."""

    def __init__(self, *arguments: str, token: str | None = None, downloads: Path | None = None) -> None:
        """`downloads` is where what it fetches from the Hub is kept, unless that is the usual place."""
        self.called = f"atelier {' '.join(arguments[:2])}"
        self.began = time.monotonic()
        # Files and not pipes: an answer may be larger than a pipe holds, and nobody reads while it is written.
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the `with` is left)
        self._err = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "core", *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            env=child_environment(token) | ({"HF_HOME": str(downloads)} if downloads else {}),
        )

    def __enter__(self) -> "Asked":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._out.close()
        self._err.close()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def done(self, seconds: float) -> bool:
        """Whether the process has ended, after waiting so long for it at most."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def seconds_passing(
        self, look: float, wanted: Callable[[], bool], longest: float, too_long: str
    ) -> Iterator[int]:
        """Each second that has passed, until the process has ended or its answer is not wanted any more; looks every `look`
        seconds. UserError, with the sentence `too_long`, after `longest` seconds."""
        told = 0
        while not self.done(look) and wanted():
            if self.seconds > longest:
                raise UserError(too_long)
            if self.seconds > told + 1:
                told = int(self.seconds)
                yield told

    def answer(self) -> dict[str, Any]:
        """What it printed, as `ask` returns and raises it."""
        status, printed, said = self._process.returncode, _text(self._out), _text(self._err)
        if status == 0 or (status in (1, 2) and printed):
            answer = json.loads(printed)
            if status == 2 and "files" not in answer and "error" in answer:
                raise UserError(answer["error"])  # there is nothing more to say than that sentence
            return answer
        if status == 2:
            raise UserError(said or f"`{self.called}` could not be carried out.")
        raise RuntimeError(f"`{self.called}` ended with status {status}:\n{said}")


def _text(file: Any) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace").strip()
