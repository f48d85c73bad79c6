"""What many tests share: a place for runs, and runs that were really trained, once for all of them."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import pytest
from filelock import FileLock

from core import presets
from core.runs import ENDED, Run, RunStore, jobs
from core.runs.events import Started
from core.spec import RunSpec, merge
from tests import warm

pytest_plugins = ["tests.hub.fixture"]

# Nothing may be fetched: what a test needs lies in the project or is made by the test.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "True"  # as gradio writes it: warm.py forks where nothing differs
# The tests run in several processes side by side: threads of one would wait, spinning, for those of another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Nor is anything known from an earlier time, or left behind.
os.environ["ATELIER_CACHE"] = tempfile.mkdtemp(prefix="atelier-tests-")
atexit.register(shutil.rmtree, os.environ["ATELIER_CACHE"], ignore_errors=True)

QUICK = {
    "data": {"files": ["sample:fables-en"]},
    "train": {"max_steps": 12, "evaluate_every": 4, "batch_size": 8},
    "evaluate": {"answers": 4, "max_new_tokens": 8, "prompts": ["Who are you?"]},
    "compute": {"threads": 1},
}
LORA = {"method": {"kind": "lora", "rank": 4, "dropout": 0.1}, "train": {"learning_rate": 5e-3}}


def quick(*layers: dict) -> RunSpec:
    """The tiny preset cut down to seconds, with settings on top."""
    values = QUICK
    for layer in layers:
        values = merge(values, layer)
    return presets.resolve("tiny", overrides=values)


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"the condition did not come true in {seconds:.0f} seconds")


def wait(run: Run, seconds: float = 180.0) -> str:
    """Wait for the run's act to end; how it ended. A failure shows the job's own words."""
    until(lambda: run.progress().state in ENDED, seconds)
    progress = run.progress()
    if progress.state == "failed":
        print(run.console.read_text()[-3000:])
    return progress.state


def bystander() -> int:
    """Pid of a new process that does nothing, for a run that only seems to be worked on: what is asked to stop and does
    not is ended by force, and that must be neither the tests' own process nor another test's bystander."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(7200)"])
    atexit.register(process.kill)
    return process.pid


def pid_of(run: Run) -> int:
    return [event for event in run.events.read()[0] if isinstance(event, Started)][-1].pid


@pytest.fixture
def store(tmp_path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture(scope="session")
def trained_runs(tmp_path_factory, worker_id) -> RunStore:
    """A store with the runs `full` and `lora`, trained for a few steps and scored. Read only."""
    own = tmp_path_factory.mktemp("trained") / "runs"
    if worker_id == "master":
        _train(RunStore(own))
    else:  # once for all processes of the tests, and a copy for each
        shared = tmp_path_factory.getbasetemp().parent / "trained-once"
        with FileLock(shared.with_suffix(".lock")):
            if not shared.exists():
                _train(RunStore(shared.with_suffix(".new")))
                shared.with_suffix(".new").rename(shared)
        shutil.copytree(shared, own)
    return RunStore(own)


def _train(store: RunStore) -> None:
    for name, layers in (("full", ()), ("lora", (LORA,))):
        run = store.create(name, quick(*layers))
        with warm.forked():
            jobs.start(run, "train")
        assert wait(run) == "finished"


@pytest.fixture(params=["full", "lora"])
def trained(trained_runs, request) -> Run:
    return trained_runs.get(request.param)


@pytest.fixture
def full_run(trained_runs) -> Run:
    return trained_runs.get("full")


@pytest.fixture
def lora_run(trained_runs) -> Run:
    return trained_runs.get("lora")
