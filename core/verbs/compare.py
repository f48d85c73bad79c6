"""The verb that says which is better: of several runs, or of tuning a model and handing it passages."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from core.errors import RunError
from core.runs.store import Run, RunStore
from core.verbs.common import Json, Runs, app, carry_out, harmless, show_json


@app.command
def compare(
    names: Annotated[tuple[str, ...], Parameter(help="Names of runs: two or more, or one with --rag.")],
    /,
    *,
    rag: tuple[str, ...] = (),
    questions: str | None = None,
    most_questions: int | None = None,
    passages: int | None = None,
    passage_tokens: int | None = None,
    report: Path | None = None,
    runs: Runs = Path("runs"),
    follow: bool = True,
    json: Json = False,
) -> int:
    """Put runs side by side: scores, curves, the settings that differ, and cost. Or hold one against retrieval.

    With --rag, base and tuned model answer the same questions with and without passages that are found in your
    documents, and the answer is: fine-tune, retrieve, both, or no clear difference.

    Parameters
    ----------
    rag
        Documents to find passages in: files or folders of Markdown, text, CSV or JSON lines.
    questions
        A file of questions with answers; what the run held out from training unless given.
    most_questions
        Most questions, evenly spread over those there are (64); each is answered four times.
    passages
        Most passages for a question (4).
    passage_tokens
        Most tokens of a question's passages together (512).
    report
        Also write one HTML page with everything.
    """
    store = RunStore(runs)
    chosen = [store.get(name) for name in names]
    if not rag:
        return _side_by_side(chosen, report, json)
    if len(chosen) != 1:
        raise RunError("Name one run to hold against retrieval, or leave out --rag to compare several.")
    options = {
        "questions": questions,
        "most_questions": most_questions,
        "passages": passages,
        "passage_tokens": passage_tokens,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return _against_retrieval(chosen[0], {"documents": rag, **given}, report, follow, json)


def _side_by_side(chosen: list[Run], report: Path | None, json: bool) -> int:
    from core.compare.page import runs_page
    from core.compare.runs import as_dict, compare_runs
    from core.compare.words import as_text

    compared = compare_runs(chosen)
    if report:
        _write(report, runs_page(compared))
    show_json(as_dict(compared)) if json else print(as_text(compared))
    return 0


def _against_retrieval(run: Run, options: dict, report: Path | None, follow: bool, json: bool) -> int:
    from core.compare.page import retrieval_page
    from core.compare.retrieval import FILE, Request, read
    from core.compare.words import retrieval_as_text
    from core.data.files.opening import check_there

    request = Request(**options)  # what cannot be is said before anything is begun
    check_there((*request.documents, *([request.questions] if request.questions else [])))
    status = carry_out(run, "compare", follow, False, quiet=json, **options)
    if status and json:
        print(harmless(run.progress().message), file=sys.stderr)
    if status or not follow:
        return status
    found = read(run)
    if report:
        _write(report, retrieval_page(found))
    if json:
        print((run.reports / FILE).read_text("utf-8"))
        return 0
    print(retrieval_as_text(found))
    print(f"The whole report, with every answer: {(run.reports / FILE).with_suffix('.html')}")
    return 0


def _write(path: Path, page: str) -> None:
    from core.evaluate.report import whole

    try:
        whole(path, page)
    except OSError as error:
        raise RunError(f"The report {path} cannot be written: {error.strerror}.") from None
