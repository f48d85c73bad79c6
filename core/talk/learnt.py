"""What a run learnt decides how it is talked to."""

import json

from core.runs.store import Run


def is_single_turn(run: Run) -> bool:
    """Whether it was trained on conversations of one question each alone: a second question, after a first one, is then
    something that it has never seen. False, too, where nobody wrote that down."""
    report = run.reports / "data.json"
    return report.is_file() and json.loads(report.read_text("utf-8")).get("single_turn", False)
