"""Visitors of a Space: who asks, what is theirs, and how much of it they may have.

Everyone who signed in has a folder of their own, runs/<account>, and whatever a page shows or does is looked for in the
folder of whoever asks. Who has not signed in sees the demo run and may talk to it. Nothing here applies off a Space.
"""

import functools
import inspect
import os
import re
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from core.errors import RunError, UserError
from core.presets import resolve
from core.runs import Run, RunStore, jobs
from core.runs.events import BUSY
from core.runs.jobs import DOWNLOADS
from core.spec import RunSpec
from webui.language import number, t
from webui.render import visitors as render
from webui.render.parts import alert, size
from webui.sessions import SIGNED_IN, WAS, account
from webui.sets import Sets
from webui.talks import Talks
from webui.zero import LentTalk

DEMO = ".demo"  # beside the visitors' folders; no account's name begins with a dot
DEMO_RUN = "demo"
DEMO_SPEC = {"data": {"files": ("sample:fables-en",)}, "evaluate": {"prompts": ("Who raised Mowgli?",)}}
# As the Hub makes them: letters, digits, and single dashes between; what else could be in a token names no folder here.
ACCOUNT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,94}[A-Za-z0-9])?", re.ASCII)
PAGES_OF_STRANGERS = 200  # whose conversations are remembered, of those who have not signed in

SIGN_IN_FIRST = (
    "Sign in with your Hugging Face account first, with the button at the top: without it you can look around and talk "
    "to the demo run."
)
SIGN_IN_AGAIN = "Your sign-in has expired: sign in again with the button at the top. What you have started goes on, and is there."
NO_SIGN_IN = "Nobody can sign in to this Space, since its README does not say `hf_oauth: true`; look around and talk to the demo run."
NO_GPU_FOR_TRAINING = (
    "This Space runs on ZeroGPU, which lends a GPU for a minute at a time, too short to train: set compute.where to "
    "hf-jobs, or duplicate the Space onto a GPU of its own."
)
SIZES = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}

# What programs may ask for without signing in, since it is just looking; pages look by events without a name.
LOOKING = (
    "data_sets", "presets", "settings", "models", "tasks", "runs", "run", "curves", "log", "queue", "scores", "compare_runs",
    "retrieval",
)  # fmt: skip
# What programs and pages may ask for without signing in.
FOR_EVERYONE = (
    *LOOKING, "load", "unload", "ask", "again", "edit", "stop_answer", "conversation", "open_conversation",
)  # fmt: skip
# What begins no job. Every other act does, and counts.
NO_JOB = (
    *FOR_EVERYONE, "keep_file", "keep_text", "check_data", "save_data", "machines", "account", "plan", "plan_publishing", "pause",
    "continue", "stop", "discard", "end", "delete", "rename", "note", "move", "correct",
)  # fmt: skip


@dataclass(frozen=True)
class Quota:
    """What one visitor of a Space may have. A Space's owner sets each by the environment variable that is named."""

    runs: int = field(default=20, metadata={"variable": "ATELIER_MOST_RUNS"})
    disk_bytes: int = field(
        default=10 * 10**9, metadata={"variable": "ATELIER_MOST_DISK"}
    )  # also: uploads in a day
    jobs: int = field(
        default=1, metadata={"variable": "ATELIER_MOST_JOBS"}
    )  # at work or waiting at the same time
    talks: int = field(
        default=3, metadata={"variable": "ATELIER_MOST_TALKS"}
    )  # models in memory, of all visitors

    @classmethod
    def of_environment(cls) -> "Quota":
        """UserError if a variable holds no number."""
        given = {
            name: amount(variable, os.environ[variable])
            for name, each in cls.__dataclass_fields__.items()
            if (variable := each.metadata["variable"]) in os.environ
        }
        return cls(**given)


def amount(variable: str, words: str) -> int:
    """`20`, `10GB`; UserError if it is neither."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]b)?\s*", words, re.IGNORECASE)
    if not found:
        raise UserError(f"{variable} is {words!r}: write a number, such as 20 or 10GB.")
    return int(float(found[1]) * SIZES.get((found[2] or "").lower(), 1))


@dataclass(frozen=True)
class Visitor:
    """Somebody who signed in."""

    name: str
    id: str  # stays when the account gets another name
    token: str = field(repr=False)
    expires: float  # seconds since the epoch


def session() -> dict[str, Any]:
    """Of whoever's request this thread is answering; empty where that is nobody's."""
    request = LocalContext.request.get(None)
    scope = getattr(
        getattr(request, "request", request), "scope", None
    )  # a component's own request is not gradio's
    return scope.get("session", {}) if isinstance(scope, dict) else {}


def page() -> str:
    """The open page or the program that asks, by the name that gradio gives each of them."""
    return getattr(LocalContext.request.get(None), "session_hash", None) or ""


def current() -> Visitor | None:
    """Whoever asks, if they have signed in. UserError if their account cannot have a folder here."""
    now = session()
    name = account(now)
    if name is None:
        return None
    if not ACCOUNT.fullmatch(name):
        raise UserError(f"The account {name!r} cannot be used here: its name is no folder's.")
    found = now[SIGNED_IN]
    return Visitor(name, found["userinfo"]["sub"], found["access_token"], found["expires_at"])


class Home:
    """What is one visitor's: runs, uploads, saved data sets."""

    def __init__(self, store: RunStore, sets: Callable[[Path], Sets] = Sets) -> None:
        self.store = store
        self.uploads = store.root.resolve() / ".data"
        self.sets = sets(self.uploads / "sets")
        self.beginning = threading.Lock()  # of two acts asked for at once, one sees the other

    def used_bytes(self) -> int:
        return sum(
            (Path(folder) / name).lstat().st_size
            for folder, _, names in os.walk(self.store.root)
            for name in names
            if (Path(folder) / name).exists()
        )

    def at_work(self) -> list[Run]:
        return [run for run in self.store.all() if run.progress().state in BUSY]

    def forget_downloads(self) -> None:
        """What runs fetched from the Hub can be fetched again; not while one of them may be reading it."""
        if not self.at_work():
            shutil.rmtree(self.store.root / DOWNLOADS, ignore_errors=True)


class VisitorsStore(RunStore):
    """The runs of one visitor of a Space: as many as they may have, with settings that reach for nothing of others."""

    def __init__(self, root: Path, check: Callable[[RunSpec], None]) -> None:
        super().__init__(root)
        self.check = check

    def create(self, name: str, spec: RunSpec, preset: str = "") -> Run:
        self.check(spec)
        return super().create(name, spec, preset)


class LookedAt(RunStore):
    """The demo's runs, in which nothing is made."""

    def create(self, name: str, spec: RunSpec, preset: str = "") -> Run:
        raise RunError(ask_to_sign_in())


class VisitorsSets(Sets):
    """The saved data sets of one visitor of a Space, for which there must be room."""

    def __init__(self, folder: Path, check: Callable[[], None]) -> None:
        super().__init__(folder)
        self.check = check

    def save(self, name: str, arguments: list[str], **hub: Any) -> dict:
        self.check()
        return super().save(name, arguments, **hub)

    def append(self, name: str, line: str) -> int:
        self.check()
        return super().append(name, line)


class SetsLookedAt(Sets):
    """Of who has not signed in: none, and none is saved."""

    def save(self, name: str, arguments: list[str], **hub: Any) -> dict:
        raise UserError(ask_to_sign_in())

    def append(self, name: str, line: str) -> int:
        raise UserError(ask_to_sign_in())


class Space:
    """Everybody's homes, and what they have in common."""

    def __init__(self, root: Path, quota: Quota, signing_in: bool, zero_gpu: bool) -> None:
        self.root = Path(root)
        self.quota = quota
        self.signing_in = signing_in
        self.zero_gpu = zero_gpu
        self.demo = Home(LookedAt(self.root / DEMO), SetsLookedAt)
        self._homes: dict[str, Home] = {}
        self._talks: OrderedDict[str, SpaceTalks] = OrderedDict()
        self._changing = threading.Lock()
        self.loading = threading.Lock()

    def home(self) -> Home:
        """Of whoever asks; the demo's for who has not signed in."""
        visitor = current()
        if visitor is None:
            return self.demo
        with self._changing:
            if visitor.id not in self._homes:
                self._homes[visitor.id] = self._moved_in(visitor)
            return self._homes[visitor.id]

    def _moved_in(self, visitor: Visitor) -> Home:
        """Their folder, if it is theirs: an account's name can be given up, and taken by somebody else."""
        folder = self.root / visitor.name
        folder.mkdir(parents=True, exist_ok=True)
        owner = folder / ".account"
        if not owner.exists():
            owner.write_text(visitor.id)
        if owner.read_text() != visitor.id:
            raise UserError(
                f"The folder of {visitor.name} here belongs to an account that had this name before; ask the owner of "
                "this Space to move it away."
            )
        return Home(
            VisitorsStore(folder, self.check),
            lambda sets: VisitorsSets(sets, lambda: self.has_room(self.home(), 0)),
        )

    def talks(self) -> Talks:
        """The conversations of whoever asks: an account's, or an open page's."""
        visitor = current()
        key = f"account {visitor.id}" if visitor else f"page {page()}"
        with self._changing:
            talks = self._talks.setdefault(key, SpaceTalks(self))
            self._talks.move_to_end(key)
            for old in [k for k, each in self._talks.items() if k != key and each.state == "closed"]:
                if len(self._talks) > PAGES_OF_STRANGERS:
                    del self._talks[old]
            return talks

    def make_room(self, asking: "SpaceTalks") -> None:
        """Close models that nobody is using for longest, so that one more can be loaded; RunError if all are in use."""
        with self._changing:
            loaded = [each for each in self._talks.values() if each is not asking and each.is_held]
        loaded.sort(key=lambda each: each.used_at)
        idle = [each for each in loaded if not each.answering]
        while len(loaded) >= self.quota.talks:
            if not idle:
                raise RunError(
                    f"This Space holds the models of {self.quota.talks} runs at the same time (ATELIER_MOST_TALKS), and "
                    "all are answering: try again in a minute."
                )
            closed = idle.pop(0)
            closed.close()
            loaded.remove(closed)

    # What may be done

    def may_work(self) -> None:
        """UserError for who has not signed in."""
        if current() is None:
            raise UserError(ask_to_sign_in() if self.signing_in else NO_SIGN_IN)

    def may_begin(self) -> None:
        """UserError, with the number, for who has as much at work, or on the disk, as a visitor may."""
        self.may_work()
        home, busy = self.home(), self.home().at_work()
        if len(busy) >= self.quota.jobs:
            jobs_at_once = "One job" if self.quota.jobs == 1 else f"{self.quota.jobs} jobs"
            raise UserError(
                f"{jobs_at_once} at a time for each visitor of this Space (ATELIER_MOST_JOBS), and {busy[0].name} is at "
                "work: wait for it, or stop it on the Runs page."
            )
        self.has_room(home, 0)

    def has_room(self, home: Home, more: int) -> None:
        used = home.used_bytes()
        if used + more > self.quota.disk_bytes:
            home.forget_downloads()
            used = home.used_bytes()
        if used + more > self.quota.disk_bytes:
            raise UserError(
                f"Your runs and files take {size(used)} of the {size(self.quota.disk_bytes)} that each visitor of this "
                "Space has (ATELIER_MOST_DISK): delete a run on the Runs page."
            )

    def check(self, spec: RunSpec) -> None:
        """UserError if whoever asks may have no such run, or no more of them."""
        self.may_begin()
        home = self.home()
        if len(home.store.all()) >= self.quota.runs:
            raise UserError(
                f"You have {self.quota.runs} runs, as many as each visitor of this Space may keep (ATELIER_MOST_RUNS): "
                "delete one on the Runs page."
            )
        if self.zero_gpu and spec.compute.where == "here":
            raise UserError(NO_GPU_FOR_TRAINING)
        check_own(spec.model_dump(mode="json"), home.uploads)

    def greeting(self) -> str:
        """Who whoever asks is here, and what they have of what they may have."""
        visitor = current()
        if visitor is None:
            expired, nobody = WAS in session(), not self.signing_in
            return render.not_signed_in(SIGN_IN_AGAIN if expired else NO_SIGN_IN if nobody else None)
        try:
            home = self.home()
        except UserError as error:
            return alert(str(error))
        used, room = size(home.used_bytes()), size(self.quota.disk_bytes)
        runs, most = number(len(home.store.all())), number(self.quota.runs)
        has = t("{runs} of {most} runs, {used} of {room}", runs=runs, most=most, used=used, room=room)
        return render.signed_in(visitor.name, has, visitor.expires - time.time())


class SpaceTalks(Talks):
    """One visitor's conversations, among those of others in the same memory."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space
        self.used_at = 0.0
        self.answering = 0
        self._beginning = False

    @property
    def is_held(self) -> bool:
        """Whether models of this visitor are in memory, or about to be."""
        return self._beginning or self.state != "closed"

    def open(self, run: Run) -> Any:
        self.used_at = time.monotonic()
        try:
            if self.state == "closed":
                with self._space.loading:  # of two who ask at the same moment, one sees the other
                    self._space.make_room(self)
                    self._beginning = True
            return super().open(run)
        finally:
            self._beginning = False

    def begin(self, run: Run) -> Any:
        return LentTalk(run) if self._space.zero_gpu else super().begin(run)

    def converse(self, *asked: Any, **more: Any) -> Iterator[Any]:
        self.answering += 1
        try:
            yield from super().converse(*asked, **more)
        finally:
            self.answering -= 1
            self.used_at = time.monotonic()


class Own:
    """Stands for what each visitor has one of, also while a page is built and nobody asks yet."""

    def __init__(self, kind: type, own: Callable[[], Any]) -> None:
        self._kind = kind
        self._own = own

    def __getattr__(self, name: str) -> Any:
        if inspect.isfunction(getattr(self._kind, name, None)):
            return lambda *values, **named: getattr(self._own(), name)(*values, **named)
        return getattr(self._own(), name)


def ask_to_sign_in() -> str:
    """The sentence for who has not signed in, or no longer is."""
    return SIGN_IN_AGAIN if WAS in session() else SIGN_IN_FIRST


def check_own(values: Any, uploads: Path, where: str = "") -> None:
    """UserError if a setting names something on this server's disk that is not the visitor's: a base model or a task
    can be a folder, and that of another's run is one."""
    if where in ("template.system", "evaluate.prompts", "data.columns", "publish.to"):
        return
    if isinstance(values, dict):
        for name, each in values.items():
            check_own(each, uploads, f"{where}.{name}".lstrip("."))
    elif isinstance(values, list | tuple):
        for each in values:
            check_own(each, uploads, where)
    elif (
        isinstance(values, str)
        and is_path(values)
        and (is_program(values) or not Path(values).resolve().is_relative_to(uploads))
    ):
        raise UserError(
            f"{where} is {values!r}: on a Space a setting can name what is on the Hub or was uploaded by you, and "
            "nothing else on its disk."
        )


def is_path(name: str) -> bool:
    """Whether a setting's value leads somewhere on the disk, from here or from wherever it is looked for."""
    if is_program(name):
        return True
    outside = name.startswith(("/", "~", ".", "\\")) or ".." in re.split(r"[/\\]", name)
    return outside or os.path.exists(os.path.expanduser(name))


def is_program(name: str) -> bool:
    """Whether a task is a file of lm-eval's, which can name code to run."""
    return name.startswith("lm-eval:") and bool(re.search(r"[/\\]|\.ya?ml", name))


def admitted(handler: Callable, act: str | None, space: Space) -> Callable:
    """The handler, for those who may do what it does; others get the sentence, where the handler would put one.

    `act` is the name by which programs call it; None for what only the pages call, which is looking.
    """

    def admit() -> AbstractContextManager | None:
        """The lock to hold meanwhile; None where nothing is begun."""
        if act is None or act in FOR_EVERYONE:
            return None
        space.may_work()
        return None if act in NO_JOB else space.home().beginning

    def refused(error: UserError) -> dict:
        place = getattr(handler, "place", None)
        if place is None:
            raise gr.Error(str(error), print_exception=False) from None
        return {place: alert(str(error))}

    @functools.wraps(handler)
    def answer(*values: Any) -> Any:
        try:
            lock = admit()
            if lock is None:
                return handler(*values)
            with lock:
                space.may_begin()
                return handler(*values)
        except UserError as error:
            return refused(error)

    @functools.wraps(handler)
    def stream(*values: Any) -> Iterator[Any]:
        try:
            if admit() is not None:
                space.may_begin()
            yield from handler(*values)
        except UserError as error:
            yield refused(error)

    return stream if inspect.isgeneratorfunction(handler) else answer


def admit_to(page: gr.Blocks, space: Space) -> None:
    """Put it before every event of the page, those of rooms that are yet to be built included."""
    for event in page.fns.values():
        if event.fn is not None:
            numbered = event.api_visibility != "private"  # of two that do the same, the page's has a number
            act = re.sub(r"_\d+$", "", event.api_name) if numbered else None
            event.fn = admitted(event.fn, act, space)


def begin_demo(space: Space) -> None:
    """Train the demo run if it is not there; it takes a few minutes on two cores, and the page is open meanwhile."""
    store = RunStore(space.demo.store.root)
    if store.all():
        return
    run = store.create(DEMO_RUN, resolve("tiny", overrides=DEMO_SPEC), "tiny")
    jobs.start(run)


def keeping_place() -> Path | None:
    """Where a Space keeps what outlives a restart: the folder that its owner names, or a bucket mounted at /data."""
    named = os.environ.get("ATELIER_RUNS")
    if named:
        return Path(named)
    data = Path("/data")
    return data / "runs" if os.access(data, os.W_OK | os.X_OK) else None
