"""A hub and a process that pushes to it, once for all tests of a file; trained runs that were merged, once for all."""

import shutil
from collections.abc import Iterator

import pytest

from core.cli import main
from core.publish import parity
from core.runs import Run, RunStore
from core.runs.jobs import child_environment
from tests.evaluate.inside import work_inside
from tests.hub import Hub
from tests.publish.pushing import Child, Interpreter


@pytest.fixture(scope="module")
def shared_hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def child(shared_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    child = Child(shared_hub, tmp_path_factory.mktemp("child") / "log")
    yield child
    child.end()


@pytest.fixture(scope="module")
def interpreter(shared_hub, tmp_path_factory) -> Iterator[Interpreter]:
    environment = child_environment() | shared_hub.environment()
    interpreter = Interpreter(environment, tmp_path_factory.mktemp("interpreter") / "log")
    yield interpreter
    interpreter.end()


@pytest.fixture(scope="session")
def merged_runs(trained_runs: RunStore, tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """The runs `full` and `lora` with what `atelier merge` makes of them. Read only."""
    store = RunStore(tmp_path_factory.mktemp("merged") / "runs")
    with pytest.MonkeyPatch.context() as patch:
        work_inside(patch)
        patch.setattr(parity, "NEW_TOKENS", 8)  # of the answers that are compared
        for run in trained_runs.all():
            shutil.copytree(
                run.folder,
                store.root / run.name,
                ignore=shutil.ignore_patterns("checkpoints", "*serve.json*"),
            )
            assert main(["merge", run.name, "--runs", str(store.root)]) == 0
    return store


@pytest.fixture
def merged(merged_runs: RunStore, trained: Run) -> Run:
    return merged_runs.get(trained.name)
