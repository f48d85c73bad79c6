"""Runs whose machine is the loopback hub's: a job there is a process here."""

import json
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import asdict

import pytest

from core.remote.record import Record
from core.remote.words import told
from core.runs import Run, RunStore
from core.runs.events import Event
from core.spec import RunSpec
from tests.conftest import LORA, quick
from tests.hub import Hub

THERE = {"compute": {"where": "hf-jobs", "flavor": "cpu-upgrade"}}


@pytest.fixture
def account(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub, where every process that a test starts works with ada's token."""
    for name, text in hub.environment(token=hub.writer).items():
        monkeypatch.setenv(name, text)
    return hub


@pytest.fixture(scope="session")
def there() -> Callable[..., RunSpec]:
    """Settings of a small run on HF Jobs, and others on top."""
    return lambda *layers: quick(LORA, THERE, *layers)


def losses(run: Run) -> list[tuple[int, float]]:
    progress = run.progress()
    return [(each.step, each.loss) for each in (*progress.steps, *progress.held_out)]


def log_of(*said: Event | str) -> str:
    """A program that prints these events and lines, as a job does."""
    lines: list[str] = []
    for each in said:
        if isinstance(each, str):
            lines.append(each)
        else:
            lines += told(json.dumps({"event": type(each).__name__.lower(), **asdict(each)}))
    return "".join(f"print({line!r}, flush=True)\n" for line in lines)


@pytest.fixture
def joined(account: Hub, store: RunStore, there: Callable[..., RunSpec]) -> Callable[..., Run]:
    """A run whose job does what a program says: already asked for, and followed by nobody yet."""

    def make(program: str, **known: object) -> Run:
        account.job_command = [sys.executable, "-c", "import time\n" + program]
        run = store.create("far", there())
        record = Record("ab12", "ada", "ada/atelier-run-far-ab12", "cpu-upgrade", 0.03, 1800).next()
        account.add_repo(record.repo)
        wanted = {"dockerImage": "an-image", "command": ["true"], "arguments": [], "environment": {}}
        wanted |= {"flavor": record.flavor, "labels": record.labels}
        request = urllib.request.Request(
            f"{account.url}/api/jobs/ada",
            json.dumps(wanted).encode(),
            {"Authorization": f"Bearer {account.writer}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            job = json.loads(answer.read())["id"]
        values = asdict(record) | {"job": job, "url": f"{account.url}/jobs/ada/{job}"} | known
        Record(**values).keep(run)
        return run

    return make
