"""remote.json in a run's folder: which job of which account does the work, known before it is asked for.

The attempt is written down first and the job's id when the Hub has answered. Between the two, the label of the attempt
tells whether a job was made whose answer got lost.
"""

import json
import secrets
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.runs.store import Run

FILE = "remote.json"
STATE = (
    "manifest.json",
    "device.json",
    "split.json",
)  # what a process that goes on needs beside a checkpoint
LABEL = "atelier-attempt"


@dataclass(frozen=True)
class Record:
    id: str  # of the run among all runs of the account: names come again
    namespace: str
    repo: str  # what the machine gets and sends lies here
    flavor: str = ""
    usd_per_hour: float = 0.0
    timeout_seconds: int = 0
    attempt: int = 0  # jobs asked for so far
    job: str = ""  # the id of the latest; empty while nobody knows it
    url: str = ""
    settled: bool = True  # the latest attempt came to an end, and all that it sent is here
    usd_before: float = 0.0  # spent on the attempts that are settled

    @property
    def labels(self) -> dict[str, str]:
        """By which the job of this attempt is found again."""
        return {LABEL: f"{self.id}-{self.attempt}"}

    @property
    def request(self) -> str:
        """Prefix, in the repository, of what is asked of this attempt."""
        return f"requests/{self.attempt}-"

    @property
    def results(self) -> str:
        return f"results-{self.attempt}.json"

    def next(self, **known: Any) -> "Record":
        """The attempt after this one, not yet asked for."""
        return replace(self, attempt=self.attempt + 1, job="", url="", settled=False, **known)

    def keep(self, run: Run) -> "Record":
        beside = run.folder / f".{FILE}"
        beside.write_text(json.dumps(asdict(self), indent=1), "utf-8")
        beside.replace(run.folder / FILE)
        return self


def read(run: Run) -> Record | None:
    """None if the run was never sent anywhere."""
    try:
        return Record(**json.loads((run.folder / FILE).read_text("utf-8")))
    except FileNotFoundError:
        return None


def asks_for_a_machine(run: Run) -> bool:
    """Whether going on with the training asks HF Jobs for a machine, which is paid for. Where its job may still be at
    work, it is joined, and costs nothing more than was agreed to."""
    sent = read(run)
    return run.spec.compute.where == "hf-jobs" and (sent is None or sent.settled)


def age(run: Run) -> float:
    """Seconds since what is known of the latest attempt was written down."""
    return time.time() - (run.folder / FILE).stat().st_mtime


def new(run: Run, namespace: str) -> Record:
    """A record for a run that is sent for the first time, with a repository that no other run has."""
    id_ = secrets.token_hex(4)
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in run.name)[:60].strip("-_")
    return Record(id_, namespace, f"{namespace}/atelier-run-{stem}-{id_}")


def place(name: str) -> str:
    """Where a file of the run's folder lies in its repository; checkpoints where the next attempt looks for them."""
    if name in STATE:
        return f"state/{name}"
    return name if name.startswith("checkpoints/") else f"results/{name}"
