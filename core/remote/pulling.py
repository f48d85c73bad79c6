"""What a machine of HF Jobs made, brought into the run's folder: every file by its hash, final/ last and at once."""

import json
import shutil
from pathlib import Path, PurePosixPath

from core.errors import PublishError
from core.hashing import sha256_of
from core.remote.client import Jobs
from core.remote.record import STATE, Record, place
from core.runs.events import Event, EventLog
from core.runs.store import Run
from core.train import disk

OWN = ("final", "reports", "checkpoints")  # the folders that a machine may fill


def pull(client: Jobs, record: Record, run: Run) -> tuple[str, list[Event]]:
    """How the run ended there (finished, stopped or failed; empty if it sent no results), and all that it said.

    PublishError if something is not what was sent; what is here stays as it is then.
    """
    listed = _results(client, record)
    if listed is None:
        return "", []
    beside = run.folder / ".pulled"
    for name, expected in listed["files"].items():
        _fetch(client, record, name, beside, expected)
    events, _ = EventLog(beside / place("events.jsonl")).read()
    for name in sorted(listed["files"]):
        if not name.startswith("final/") and name != "events.jsonl":
            target = run.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (beside / place(name)).replace(target)
    made = beside / "results/final"
    if made.is_dir():
        disk.synced(made)
        disk.place(made, run.final)
    shutil.rmtree(beside)
    return listed["outcome"], events


def _results(client: Jobs, record: Record) -> dict | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    def fetched() -> str | None:
        try:
            return hf_hub_download(record.repo, record.results, token=client.token)
        except EntryNotFoundError:
            return None

    path = client.ask("fetching the list of results", fetched)
    return json.loads(Path(path).read_text("utf-8")) if path else None


def _fetch(client: Jobs, record: Record, name: str, beside: Path, expected: dict) -> None:
    """One file, into the folder beside; what came before a connection broke need not come again."""
    from huggingface_hub import hf_hub_download

    if not is_of_a_run(name):
        raise PublishError(
            f"The results in {record.repo} name {name!r}, which is no file of a run: nothing was taken over."
        )
    path = Path(
        client.ask(
            f"fetching {name}",
            lambda: hf_hub_download(record.repo, place(name), local_dir=beside, token=client.token),
        )
    )
    if sha256_of(path) != expected["sha256"]:
        path.unlink()
        raise PublishError(
            f"{name} came from {record.repo} with other content than the machine had sent: nothing was taken over. The same "
            "command fetches it again."
        )


def is_of_a_run(name: str) -> bool:
    """Whether a machine may send a file of this name: one below its own folders, or one of those that go with it."""
    path = PurePosixPath(name)
    if "\\" in name or ".." in path.parts or path.is_absolute():
        return False
    return name in (*STATE, "events.jsonl") or (len(path.parts) > 1 and path.parts[0] in OWN)
