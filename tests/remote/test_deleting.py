"""A run is deleted without a file of its folder being open, and nobody starts it meanwhile."""

import pytest
from filelock import FileLock

from core.errors import RunError
from core.runs import RunStore, jobs
from tests.conftest import quick


def test_no_file_is_open_when_the_folder_is_renamed_and_nobody_starts_the_run(store, monkeypatch):
    run, seen = store.create("old", quick()), []
    remove = RunStore.remove

    def removed(self: RunStore, run_: object) -> None:
        with FileLock(run.folder / ".start", timeout=0):  # free, so that Windows renames the folder
            pass
        with pytest.raises(RunError, match="'old' is being deleted"):
            jobs.start(run)
        seen.append(run)
        remove(self, run_)

    monkeypatch.setattr(RunStore, "remove", removed)
    jobs.delete(run)
    assert seen == [run] and list(store.root.iterdir()) == []


def test_a_run_whose_folder_cannot_be_removed_is_a_run_as_before(store, monkeypatch):
    run = store.create("old", quick())
    before = {path.name for path in run.folder.iterdir()}

    def open_elsewhere(self: RunStore, run: object) -> None:
        raise PermissionError("a file is open")

    monkeypatch.setattr(RunStore, "remove", open_elsewhere)
    with pytest.raises(PermissionError):
        jobs.delete(run)
    assert {path.name for path in run.folder.iterdir()} - {".start"} <= before | {"lock"}
