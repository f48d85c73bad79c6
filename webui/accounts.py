"""Who may open a page that asks for a name and a password, and what is theirs.

One account has what the folder of runs holds, as the shell has. Of several, each has a folder in it, runs/<name>, with
their own runs, uploads and conversations, and sees nothing of the others'; `--runs runs/<name>` is the same for the shell.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from gradio.context import LocalContext

from core.errors import UserError
from core.spec import RunSpec
from webui.talks import Talks
from webui.visitors import ACCOUNT, Home, VisitorsStore

VARIABLE = "ATELIER_AUTH"


def read(given: Sequence[str], file: Path | None) -> dict[str, str]:
    """Passwords by name: of --auth, of the file, and of ATELIER_AUTH, which processes begun from here shall not inherit.

    UserError if one is not NAME:PASSWORD, in which no password is repeated.
    """
    written = [*given, *os.environ.pop(VARIABLE, "").split()]
    if file:
        try:
            lines = file.read_text("utf-8").splitlines()
        except OSError as error:
            raise UserError(f"--auth-file {file} cannot be read: {error.strerror}.") from None
        written += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    accounts: dict[str, str] = {}
    for place, each in enumerate(written, start=1):
        name, _, password = each.partition(":")
        if not password or not ACCOUNT.fullmatch(name):
            raise UserError(
                f"Account {place} of --auth, --auth-file and {VARIABLE} is not NAME:PASSWORD, such as ada:correct-horse; a "
                "name has letters, digits, dashes and underscores."
            )
        if name in accounts:
            raise UserError(f"{name} has two passwords in --auth, --auth-file and {VARIABLE}; give one.")
        accounts[name] = password
    return accounts


def asking() -> str | None:
    """The account of whoever's request this thread is answering."""
    request = LocalContext.request.get(None)
    name = getattr(request, "username", None)
    return name or _by_cookie(getattr(request, "request", request))


def _by_cookie(request: Any) -> str | None:
    """As gradio finds it; what a component asks for by itself comes without the name."""
    app = getattr(request, "scope", {}).get("app")
    if not hasattr(app, "cookie_id"):
        return None
    kinds = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    token = next((request.cookies[kind] for kind in kinds if request.cookies.get(kind)), None)
    return app.tokens.get(token)


class Accounts:
    """The homes and conversations of several people; UserError if a folder of theirs is a run."""

    def __init__(self, root: Path, names: Collection[str]) -> None:
        self._root = Path(root).resolve()
        for name in names:
            if (self._root / name / "spec.yaml").exists():
                raise UserError(f"{name} cannot be an account here: {self._root / name} is a run.")
        self._homes = {name: Home(VisitorsStore(Path(root) / name, self._check)) for name in names}
        self._talks = {name: Talks() for name in names}

    def home(self) -> Home:
        """Of whoever asks; UserError where that is nobody with an account."""
        return self._homes[self._name()]

    def talks(self) -> Talks:
        return self._talks[self._name()]

    def check_own(self, values: Any) -> None:
        """UserError if a setting names a file or folder of somebody else's: a base model can be that of another's run."""
        own = self._root / self._name()
        for words in _strings(values):
            within = f"{words}/".replace(f"{own}/", "")  # an address, say, in which a path is not all
            path = os.path.realpath(os.path.expanduser(words.removeprefix("lm-eval:").replace("\0", "")))
            outside = Path(path).is_relative_to(self._root) and not Path(path).is_relative_to(own)
            if outside or f"{self._root}/" in within:
                raise UserError(f"{words!r} is in the folder of somebody else's runs.")

    def _check(self, spec: RunSpec) -> None:
        self.check_own(spec.model_dump(mode="json"))

    def _name(self) -> str:
        name = asking()
        if name not in self._homes:
            raise UserError("Sign in first.")
        return name


def _strings(values: Any) -> Iterator[str]:
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict | list | tuple):
        for each in values.values() if isinstance(values, dict) else values:
            yield from _strings(each)
