"""What the pages share: the runs, the files people brought, and how an error becomes a sentence beside a form."""

import functools
import hashlib
import inspect
import json
import os
import re
import shutil
import threading
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import DataError, RunError, UserError
from core.evaluate.tasks import HARNESS, names
from core.runs import Follower, Run, RunStore
from core.runs.events import Progress
from core.runs.jobs import DOWNLOADS
from webui import visitors
from webui.accounts import Accounts
from webui.language import drawn, js, t
from webui.render.parts import alert, as_written, size, waiting
from webui.sets import Sets
from webui.talks import Talks
from webui.visitors import Home, Own, Quota, Space

ON_A_SPACE = "SPACE_ID" in os.environ
ZERO_GPU = ON_A_SPACE and os.environ.get("SPACES_ZERO_GPU") == "true"
SIGN_IN = ON_A_SPACE and "OAUTH_CLIENT_ID" in os.environ  # set where the Space's README says `hf_oauth: true`
SAMPLE = "sample:fables-en"
# With `hf:`, or the name could stand for a file of the server's own.
HUB = re.compile(
    r"hf:[\w-][\w.-]*/[\w-][\w.-]*(?:\?(?:subset|split|revision)=[\w.%+~-]+(?:&(?:subset|split|revision)=[\w.%+~-]+)*)?",
    re.ASCII,
)

LAST = {
    "trigger_mode": "always_last"
}  # of several that are chosen quickly, where gradio would drop all but the first
POLL = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private", "queue": False}

# An address is /<page>/<run>. The page's base stays what it was when the page was loaded, also below a path.
_HERE = """(() => {
  const parts = location.pathname.slice(new URL(document.baseURI).pathname.length).split('/');
  try { return parts.map(decodeURIComponent) } catch { return parts }
})()"""
_WRITE = """history.replaceState(null, '', new URL([%s[0], ...runs.map(encodeURIComponent)].join('/'), document.baseURI))
  document.getElementById('unknown')?.setAttribute('hidden', '')"""
READ_RUN = f"() => {_HERE}.slice(1).join('/')"
WRITE_RUN = f"run => {{ if (run) {{ const runs = [run]; {_WRITE % _HERE} }} }}"
READ_RUNS = f"() => {_HERE}.slice(1).filter(Boolean).join(',')"
WRITE_RUNS = f"runs => {{ {_WRITE % _HERE} }}"


@dataclass(frozen=True)
class Limits:
    """What may be brought to the page."""

    upload_bytes: int
    uploads: int

    def check(self, uploads: Path) -> None:
        """UserError where no more files are kept."""
        if sum(1 for _ in uploads.glob("[0-9a-f]*/*")) >= self.uploads:
            raise UserError(
                f"{self.uploads:,} uploaded files are kept in {uploads}, as many as this page keeps (--max-uploads): remove "
                "those that no run needs any more."
            )

    def said(self) -> str:
        """HTML for beside where files are dropped."""
        largest, most = f"{t('Largest file')}: {size(self.upload_bytes)}", f"{self.uploads:,}"
        return f'<p class="hint">{largest}. {t("Files kept at most")}: {most}.</p>'


class Shared:
    """One per server. Holds nothing that the run folders do not hold, but for readers' places and open conversations.

    On a Space, runs, files and conversations are those of whoever asks; a room need not know that there are others.
    """

    def __init__(
        self,
        store: RunStore,
        space: Space | None = None,
        accounts: Accounts | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`space` where there are visitors, `accounts` where several sign in; else whoever opens the page has all there is."""
        self.space = space
        self.accounts = accounts
        self.limits = limits
        self._home = Home(store)
        self._talks = Talks()
        self._followers: dict[Path, tuple[tuple[int, int], Follower]] = {}
        self._reading = threading.Lock()

    @classmethod
    def of_environment(
        cls, store: RunStore, names: Collection[str] = (), limits: Limits | None = None
    ) -> "Shared":
        """With visitors if this is a Space; else of those who sign in. UserError if something cannot be understood."""
        if ON_A_SPACE:
            return cls(store, Space(store.root, Quota.of_environment(), SIGN_IN, ZERO_GPU), limits=limits)
        return cls(store, accounts=Accounts(store.root, names) if len(names) > 1 else None, limits=limits)

    @property
    def home(self) -> Home:
        """Of whoever asks."""
        each = self.space or self.accounts
        return each.home() if each else self._home

    @property
    def store(self) -> RunStore:
        return self.home.store

    @property
    def uploads(self) -> Path:
        return self.home.uploads

    @property
    def downloads(self) -> Path | None:
        """Where a Space keeps what whoever asks fetches from the Hub; None elsewhere, which is the usual place."""
        return self.store.root.resolve() / DOWNLOADS if self.space else None

    @property
    def sets(self) -> Sets:
        return self.home.sets

    @property
    def talks(self) -> Talks:
        each = self.space or self.accounts
        return Own(Talks, each.talks) if each else self._talks

    def may_work(self) -> None:
        """UserError for who may only look: on a Space, whoever has not signed in."""
        if self.space:
            self.space.may_work()

    def own(self, values: dict[str, Any]) -> dict[str, Any]:
        """The settings; UserError if one of them reaches for what is on this server's disk and not the visitor's."""
        if self.space:
            visitors.check_own(values, self.uploads)
        if self.accounts:
            self.accounts.check_own(values)
        return values

    def progress(self, run: Run) -> Progress:
        """Where the run stands; reads only what is new since anyone last asked."""
        about = (run.folder / "spec.yaml").stat()
        # They tell a run from a later one of the same name; the inode alone does not, ext4 gives it away again at once.
        born = (about.st_ino, about.st_mtime_ns)
        with self._reading:
            if self._followers.get(run.folder, (None,))[0] != born:
                self._followers[run.folder] = born, Follower(run)
            return self._followers[run.folder][1].progress()

    def all(self) -> list[tuple[Run, Progress]]:
        store = self.store
        found = [(run, self.progress(run)) for run in store.all()]
        self._forget(store.root, {run.folder for run, _ in found})
        return found

    def _forget(self, root: Path, there: Collection[Path]) -> None:
        """Follow no run any more that was in this folder and is gone."""
        with self._reading:
            for folder in [each for each in self._followers if each.parent == root and each not in there]:
                del self._followers[folder]

    def trained(self) -> list[str]:
        return [run.name for run, progress in self.all() if progress.trained]

    def trained_choices(self, asked: str | None) -> gr.Dropdown:
        """What a run_chooser offers: the trained runs, with the one that an address asks for, or else the newest."""
        names = self.trained()
        return gr.Dropdown(choices=names, value=asked if asked in names else next(iter(names), None))

    def keep(self, upload: str) -> str:
        """Copy an uploaded file to where it stays, named by its content; returns its path, which a spec can hold.

        UserError for who may bring none, or no more.
        """
        source = Path(upload)
        if self.space:
            self.space.may_work()
            self.space.has_room(self.home, source.stat().st_size)
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = re.sub(r"[^\w.-]+", "-", source.name).strip("-.")[-80:] or "examples.jsonl"
        kept = self.uploads / digest[:12] / name
        if not kept.is_file():
            if self.limits:
                self.limits.check(self.uploads)
            kept.parent.mkdir(parents=True, exist_ok=True)
            beside = kept.with_suffix(f".{threading.get_ident()}")
            shutil.copyfile(source, beside)
            beside.replace(kept)
        return str(kept)

    def files(self, named: list[str] | None) -> list[str]:
        """The files that a browser names, if they are ours to read: samples, data sets on the Hub, what was brought here.

        A browser can send any path; the server must not open it.
        """
        for name in named or []:
            if re.fullmatch(r"sample:[\w-]+", name):
                continue
            self.may_work()
            if HUB.fullmatch(name):
                continue
            if not Path(name).resolve().is_relative_to(self.uploads):
                raise DataError(
                    f"{name} is not among the files brought to this page; drop it on the Data page."
                )
            if not Path(name).is_file():
                raise DataError(f"{Path(name).name} is no longer kept here; drop it on the Data page again.")
        return list(named or []) or [SAMPLE]

    def tasks(self, named: Collection[str]) -> list[str]:
        """The tasks that a browser or a program names, if the files among them are ours to read.

        UserError, too, for a file of lm-eval's where several have accounts: it can name code to run.
        """
        for task in filter(visitors.is_program, named) if self.accounts else ():
            raise UserError(
                f"The task {task} is a file of lm-eval, which can run any code: on this page name one of lm-eval's own tasks."
            )
        self.files([task.removeprefix(HARNESS) for task in named if is_file(task)])
        return list(named)

    def short(self, words: str) -> str:
        """Words in which a kept file is called what its owner calls it, without the folder it is kept in."""
        folder = re.escape(str(self.uploads))
        return re.sub(rf"(?:{folder}|{escape(folder)})/(?:[0-9a-f]{{12}}|sets)/", "", words)

    def token(self, visitor: gr.OAuthToken | None = None) -> str | None:
        """Whose account to act with: None leaves it to HF_TOKEN and `hf auth login`, as in the shell.

        On a Space that would be the owner's account for every visitor, so there it is the token of who signed in and
        asks; never one that came with a call, as `visitor` may. UserError for who has not signed in.
        """
        if self.space is None:
            return None
        self.space.may_work()
        return visitors.current().token

    def hub(self) -> dict[str, Any]:
        """For a process that fetches from the Hub: in whose name, and where it keeps that. Strangers ask in nobody's."""
        token = self.token() if self.space is None or visitors.current() else None
        return {"token": token, "downloads": self.downloads}

    def unknown(self, asked: str | None, trained: bool) -> str:
        """A sentence for an address of no run, or of none that is `trained`, as a run_chooser offers them; empty for others."""
        found = self.find(asked)
        if not asked or (found and (not trained or asked in self.trained())):
            return ""
        name = as_written(asked)
        if found:
            words = t("{name} is not trained to its end yet, so something else is shown here.", name=name)
        else:
            yours = ", ".join(as_written(run.name) for run in self.store.all()[:5]) or t("none yet")
            words = t("There is no run called {name}; yours are: {yours}.", name=name, yours=yours)
        return f'<p class="alert" role="alert">{words}</p>'

    def find(self, name: str | None) -> Run | None:
        """The run with this name; None if there is none, for views that then show nothing."""
        try:
            return self.store.get(name) if name else None
        except RunError:
            return None

    def run(self, name: str | None) -> Run:
        """The run with this name; RunError if there is none."""
        if not name:
            raise RunError("Choose a run first; it can be chosen once it is trained to its end.")
        return self.store.get(name)


def is_file(task: str) -> bool:
    """Whether a task is named by a file: of examples, or its own .yaml, or lm-eval's."""
    if task.startswith(HARNESS):
        return visitors.is_program(task)
    outside = bool(Path(task).suffix) or "/" in task or "\\" in task
    return task not in names() and (outside or Path(task).exists())


def spoken(place: gr.HTML) -> Callable[[Callable], Callable]:
    """For handlers that return {component: value}, or yield such: a UserError becomes a sentence in `place`.

    Nothing else on the page changes then; when all is well, an earlier sentence goes away.
    """

    def decorate(handler: Callable) -> Callable:
        @functools.wraps(handler)
        def answer(*values: Any) -> dict:
            try:
                return {place: ""} | handler(*values)
            except UserError as error:
                return {place: alert(str(error))}

        @functools.wraps(handler)
        def stream(*values: Any) -> Iterator[dict]:
            try:
                for update in handler(*values):
                    yield {place: ""} | update
            except UserError as error:
                yield {place: alert(str(error))}

        guarded = stream if inspect.isgeneratorfunction(handler) else answer
        guarded.place = place  # for whoever refuses before it is called
        return guarded

    return decorate


def html(value: str = "", **options: Any) -> gr.HTML:
    """A place for what `render` made: our own style alone, and no frame around it."""
    classes = f"bare {options.pop('elem_classes', '')}"
    return gr.HTML(drawn(value), apply_default_css=False, elem_classes=classes, **options)


def at_once(sentence: str) -> str:
    """For `js=`: a sign that something is being worked on, shown before the server has heard of it."""
    return f"() => {json.dumps(waiting('{}'))}.replace('{{}}', {js(sentence)})"


def run_chooser() -> gr.Dropdown:
    """Any value is let through to `Shared.run`: gradio forgets the choices when the server is restarted."""
    return gr.Dropdown([], label=t("Run"), allow_custom_value=True, elem_id="run", scale=3, min_width=260)


def nowhere() -> gr.Textbox:
    """A value that the page carries and nobody sees. In the browser, because there it changes together with what is seen."""
    return gr.Textbox(visible=False)


def only_news(parts: list[str | bool], seen: str | None) -> list[Any]:
    """[what is seen now, *updates]: a part that the page shows already is not sent again, so nothing flickers.

    A text is a component's new value; True or False, whether it is shown.
    """
    now = [f"{zlib.crc32(str(part).encode()):x}" for part in parts]
    before = (seen or "").split() or [""] * len(parts)
    updates = (gr.update(visible=part) if isinstance(part, bool) else part for part in parts)
    fresh = [gr.skip() if new == old else up for up, new, old in zip(updates, now, before, strict=True)]
    return [" ".join(now), *fresh]
