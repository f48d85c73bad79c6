"""What runs on the machine of HF Jobs: the run, as any run is run, told of in the log and saved in its repository.

python -m core remote carry ada/atelier-run-poems-1f2e3d4c 1        in the folder that holds spec.yaml, data/ and code/

The machine is gone when the job ends, and may be ended at any moment. So a checkpoint counts as saved when the Hub has it,
and the next attempt goes on from there.
"""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from core.errors import PublishError
from core.hashing import sha256_of
from core.publish.checkpoints import hold
from core.publish.hub import Upload, push
from core.remote.client import Jobs
from core.remote.record import STATE, Record, place
from core.remote.words import told
from core.runs import ENDED, jobs
from core.runs.events import Event, Failed, Finished, Noted, Queued, Saved, Started, Stopped
from core.runs.store import Run, RunStore
from core.spec import RunSpec

NAME = "run"
LOOK = 0.3  # seconds between two looks at what the run has said
ASK = 5.0  # seconds between two looks at what is asked of it at the Hub
AGAIN = (10.0, 60.0, 240.0)  # seconds before the results are sent once more: it is the last chance
CHECKPOINT = "checkpoint-*"


def carry(repo: str, attempt: int) -> int:
    """Be the job; its exit status: 0 if the run ended well or was stopped, 1 if it failed."""
    record = Record("", "", repo, attempt=attempt)
    run = RunStore(Path("runs")).create(NAME, RunSpec.load(Path("spec.yaml")))
    client = Jobs()
    _fetch_what_is_saved(client, repo, run)
    jobs.start(run)
    teller, keeper, asked = _Teller(run), _Keeper(run, repo), 0.0
    while (progress := run.progress()).state not in ENDED:
        for saved in teller.tell():
            keeper.keep(saved)
        teller.say_all(keeper.kept())
        if time.monotonic() - asked > ASK:
            _pass_on(client, record, run)
            asked = time.monotonic()
        time.sleep(LOOK)
    last = teller.tell()
    last = [*keeper.end(), *last]
    outcome: Event = {"finished": Finished(act="train", output="final"), "stopped": Stopped(act="train")}.get(
        progress.state, Failed(act="train", message=_why(progress.state, progress.message))
    )
    try:
        _send(run, record, outcome)
    except PublishError as error:
        outcome = Failed(act="train", message=f"The results could not be brought to the Hub. {error}")
    else:
        teller.say_all([*keeper.kept(), *last])
    teller.say_all([outcome])
    return 1 if isinstance(outcome, Failed) else 0


def _why(state: str, message: str) -> str:
    if state == "lost":
        return (
            "The process on the machine ended without a word, as one does that has no memory left: take a larger "
            "compute.flavor, or a smaller train.micro_batch_size or train.max_length."
        )
    return message


class _Teller:
    """Prints what the run says and what its process prints, each line once, nothing between the pieces of an event."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.offset = self.printed = 0

    def tell(self) -> list[Saved]:
        """Say what is new, but for checkpoints, which count when they are kept; those are returned."""
        events, self.offset = self.run.events.read(self.offset)
        self._print_console()
        own = (Queued, Started, Finished, Stopped, Failed, Saved)
        self.say_all([event for event in events if not isinstance(event, own)])
        return [event for event in events if isinstance(event, Saved)]

    def say_all(self, events: "list[Event]") -> None:
        for event in events:
            line = json.dumps({"event": type(event).__name__.lower(), **asdict(event)}, allow_nan=False)
            print("\n".join(told(line)), flush=True)

    def _print_console(self) -> None:
        if not self.run.console.is_file():
            return
        with self.run.console.open("rb") as file:
            file.seek(self.printed)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self.printed += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            print(line.rsplit("\r", 1)[-1], flush=True)


class _Keeper:
    """Brings checkpoints to the Hub beside the training, the newest one only where several wait."""

    def __init__(self, run: Run, repo: str) -> None:
        self.run = run
        self.repo = repo
        self._wanted: Saved | None = None
        self._said: list[Event] = []
        self._left: list[Saved] = []
        self._lock = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def keep(self, saved: Saved) -> None:
        """Bring this one there, too. Its files are held apart: the training removes old ones."""
        source = self.run.checkpoints / f"checkpoint-{saved.step}"
        held = self.run.folder / ".kept" / source.name
        try:
            hold(source, held)
        except (OSError, shutil.Error) as error:
            shutil.rmtree(held, ignore_errors=True)
            if source.is_dir():  # otherwise removed meanwhile: a newer one is there
                with self._lock:
                    self._said.append(
                        Noted(text=f"{source.name} is not saved at the Hub. {error}", warning=True)
                    )
            return
        with self._lock:
            self._wanted = saved
            self._lock.notify()

    def kept(self) -> list[Event]:
        """What there is to say since it was asked last."""
        with self._lock:
            said, self._said = self._said, []
        return said

    def end(self) -> list[Saved]:
        """Come back when nothing is under way; the one that still waited, which the results hold."""
        with self._lock:
            self._over = True
            self._lock.notify()
        self._thread.join()
        return self._left

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._wanted or self._over)
                saved, self._wanted = self._wanted, None
            if saved is None or self._over:
                self._left = [saved] if saved else []
                return
            said = self._bring(saved)
            with self._lock:
                self._said.append(said)

    def _bring(self, saved: Saved) -> Event:
        name = f"checkpoint-{saved.step}"
        folder = self.run.folder / ".kept" / name
        try:
            push(self.repo, _uploads(self.run, folder, name), message=f"Checkpoint {saved.step}")
        except PublishError as error:
            return Noted(text=f"{name} is not saved at the Hub. {error}", warning=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return saved


def _uploads(run: Run, folder: Path, name: str) -> list[Upload]:
    """A checkpoint and what goes with it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    state = [run.folder / each for each in STATE if (run.folder / each).is_file()]
    return [
        *(Upload(f"checkpoints/{name}/{path.relative_to(folder).as_posix()}", path) for path in files),
        *(Upload(f"state/{path.name}", path) for path in state),
    ]


def _fetch_what_is_saved(client: Jobs, repo: str, run: Run) -> None:
    """The checkpoints of an earlier attempt, each of which is whole or is passed over by the training."""
    from huggingface_hub import snapshot_download

    wanted = ["checkpoints/*", "state/*"]
    here = Path(
        client.ask(
            "fetching the last checkpoint",
            lambda: snapshot_download(repo, allow_patterns=wanted, local_dir="saved", token=client.token),
        )
    )
    if (here / "checkpoints").is_dir():
        (here / "checkpoints").rename(run.checkpoints)
        for path in (here / "state").glob("*.json"):
            path.rename(run.folder / path.name)


def _pass_on(client: Jobs, record: Record, run: Run) -> None:
    """Ask the run for what was asked at the Hub. A Hub that cannot be reached asks for nothing."""
    name = f"{record.request}stop"
    try:
        there = client.ask(
            "looking for requests", lambda: client.api.get_paths_info(record.repo, [name], token=client.token)
        )
    except PublishError as error:
        print(error, flush=True)
        return
    if there and not run.stop_requested():
        run.request_stop()


def _send(run: Run, record: Record, outcome: Event) -> None:
    """Everything that is to come home, and the list of it with every hash, in one commit. PublishError if it fails for good."""
    files = {each.as_posix(): run.folder / each for each in _coming_home(run)}
    listed = {name: {"sha256": sha256_of(path), "size": path.stat().st_size} for name, path in files.items()}
    results = {"outcome": type(outcome).__name__.lower(), "files": listed}
    uploads = [Upload(place(name), path) for name, path in files.items()]
    uploads.append(Upload(record.results, json.dumps(results, indent=1).encode()))
    pauses = iter(AGAIN)
    while True:
        try:
            push(record.repo, uploads, message=f"Results: {results['outcome']}")
            return
        except PublishError as error:
            pause = next(pauses, None)
            if pause is None:
                raise
            print(f"{error} Once more in {pause:.0f} seconds.", flush=True)
        time.sleep(pause)


def _coming_home(run: Run) -> Iterator[Path]:
    """Paths in the run's folder."""
    newest = max(
        run.checkpoints.glob(CHECKPOINT), key=lambda path: int(path.name.rpartition("-")[2]), default=None
    )
    for folder in (run.final, run.reports, newest):
        if folder and folder.is_dir():
            yield from (path.relative_to(run.folder) for path in sorted(folder.rglob("*")) if path.is_file())
    yield from (Path(name) for name in (*STATE, "events.jsonl") if (run.folder / name).is_file())
