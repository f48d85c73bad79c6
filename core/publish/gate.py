"""Nothing leaves the house that was not opened again and compared: what the gate found, as a push needs to know it."""

from collections.abc import Sequence
from pathlib import Path

from core.publish import parity
from core.runs.store import Run

MERGED, GGUF = parity.MERGED, "gguf"  # folders of the run
MODELFILE = "Modelfile"


def why_not(run: Run, what: str, quantization: Sequence[str], look: bool = True) -> str | None:
    """Why a copy of the model must not be published, in one sentence; None if it may, as an adapter always may.

    Without `look` the copies themselves are not hashed, which takes a second for a GB: only what was found is asked.
    """
    found = parity.read(run)
    for name in _copies(what, quantization):
        checked = found.of(name) if found else None
        if checked and checked.passed and not look:
            continue
        refusal = found.refusal(run, name) if found else f"The {name} copy was not compared with the model."
        if refusal:
            return f"{refusal.rstrip('.')}. It is not published; `{_again(run, what, quantization)}` makes and compares it."
    return None


def out_of_date(run: Run) -> bool:
    """Whether the copies that were compared are of other weights than the run has now."""
    found = parity.read(run)
    return found is not None and found.model != parity.digest(run.final)


def compared(run: Run, what: str, quantization: Sequence[str]) -> list[str]:
    """What was found of each copy that is to be published, in a sentence each."""
    found = parity.read(run)
    return [
        sentence(checked)
        for name in _copies(what, quantization)
        if found and (checked := found.of(name)) and checked.passed
    ]


def compared_files(run: Run, quantization: Sequence[str]) -> list[Path]:
    """The GGUF files that were compared, and the Modelfile beside them if it is for one of them."""
    found = parity.read(run)
    known = [found.of(name) for name in _copies(GGUF, quantization)] if found else []
    files = [path for each in known if each and (path := run.folder / each.file).is_file()]
    modelfile = run.folder / GGUF / MODELFILE
    if _named_in(modelfile) & {path.name for path in files if path.parent == modelfile.parent}:
        files.append(modelfile)
    return files


def _named_in(modelfile: Path) -> set[str]:
    """The file that a Modelfile is FROM; none if there is no Modelfile, or it is from something else or from several."""
    try:
        lines = modelfile.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return set()
    named = [line[5:].strip().removeprefix("./") for line in lines if line[:5].upper() == "FROM "]
    return set(named) if len(named) == 1 else set()


def sentence(checked: parity.Checked) -> str:
    answers = (
        f"; {checked.same_answers} of {len(checked.answers)} greedy answers are the same, letter for letter"
        if checked.answers
        else ""
    )
    noise = (
        f", its logits differ by {checked.noise:.2g} (at most {checked.bound:g} may be)"
        if checked.noise is not None
        else ""
    )
    found = (
        f"{checked.file} was opened again and compared with the tuned model: {checked.conversations} conversations give the "
        f"same tokens{noise}{answers}."
    )
    return " ".join((found, *checked.limits))


def _copies(what: str, quantization: Sequence[str]) -> tuple[str, ...]:
    if what == "adapter":
        return ()
    return (MERGED,) if what == "merged" else tuple(each.lower() for each in quantization)


def _again(run: Run, what: str, quantization: Sequence[str]) -> str:
    if what == "merged":
        return f"atelier merge {run.name}"
    return f"atelier export {run.name} --quantization {' '.join(quantization)}"
