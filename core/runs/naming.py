"""What a run is called, and what its owner notes of it, in words of their own."""

import dataclasses
from pathlib import Path

from filelock import FileLock

from core.errors import RunError
from core.runs.events import BUSY
from core.runs.jobs import DELETED
from core.runs.store import Run, RunStore

MOST_WORDS = 20_000  # letters of a note


def note(run: Run, words: str) -> None:
    """Keep these words with the run, in place of those before; empty ones are none. RunError for a book."""
    words = words.strip()
    if len(words) > MOST_WORDS:
        raise RunError(f"A note holds {MOST_WORDS:,} letters at most; this one has {len(words):,}.")
    run.set_note(words)


def rename(run: Run, name: str) -> Run:
    """The run under another name, with all that names it; RunError if it is at work, answers, is what another run was
    trained from, or the name cannot be used or is taken.

    What was published keeps its repository.
    """
    store = RunStore(run.folder.parent)
    with FileLock(run.folder / ".start"):
        if run.alive() or run.progress().state in BUSY:
            raise RunError(f"The run {run.name!r} is at work; rename it when it has ended.")
        _check_nobody_needs_the_name(run)
        (run.folder / DELETED).touch()  # nobody starts it while it moves
    # Without the lock: Windows renames no folder in which a file is open.
    moved = run
    try:
        moved = store.move(run, name)
    finally:
        (moved.folder / DELETED).unlink(missing_ok=True)
    _name_within(moved, run.name)
    return moved


def _check_nobody_needs_the_name(run: Run) -> None:
    from core.talk import address

    if address.read(run):
        raise RunError(f"The model of the run {run.name!r} is loaded and answers; unload it first.")
    here = str(run.folder.resolve())
    for other in RunStore(run.folder.parent).all():
        if other.name != run.name and any(
            path == here or path.startswith(f"{here}/") for path in _paths(other)
        ):
            raise RunError(
                f"The run {other.name!r} was made from files of {run.name!r}, and would not find them."
            )


def _paths(run: Run) -> list[str]:
    """Files and folders that the run's settings name."""
    spec = run.spec
    return [
        spec.model.base,
        *spec.data.files,
        *spec.data.held_out_files,
        *spec.data.against,
        *spec.evaluate.tasks,
    ]


def _name_within(run: Run, old: str) -> None:
    """What is in the run's folder and says its name says the new one. Settings and events do not."""
    _rename_gguf(run, old)
    _retitle_reports(run)


def _rename_gguf(run: Run, old: str) -> None:
    """GGUF files are called after their run, and a Modelfile and the record of the comparison name them."""
    from core.publish.gate import GGUF, MODELFILE
    from core.publish.parity import FILE as PARITY

    for path in (run.folder / GGUF).glob(f"{old}-*.gguf"):
        path.rename(path.with_name(run.name + path.name.removeprefix(old)))
    _replace(run.folder / GGUF / MODELFILE, f"FROM ./{old}-", f"FROM ./{run.name}-")
    _replace(run.reports / PARITY, f'"{GGUF}/{old}-', f'"{GGUF}/{run.name}-')


def _replace(path: Path, old: str, new: str) -> None:
    if path.is_file():
        beside = path.with_name(f".{path.name}")
        beside.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
        beside.replace(path)


def _retitle_reports(run: Run) -> None:
    from core.compare import retrieval
    from core.compare.page import FILE as PAGE
    from core.compare.page import retrieval_page
    from core.evaluate import report
    from core.evaluate.reports import write_all

    if scores := report.read(run):
        write_all(run, dataclasses.replace(scores, run=run.name))
    if scores := report.read(run, report.LATEST):
        report.write(run, dataclasses.replace(scores, run=run.name), report.LATEST)
    if compared := retrieval.read(run):
        compared = dataclasses.replace(compared, run=run.name)
        retrieval.write(run, compared)
        report.whole(run.reports / PAGE, retrieval_page(compared))
