"""A file of rows of which some cannot be used: which, and why, in one sentence."""

from pathlib import Path

from core.data.examples import DataReport
from core.data.remarks import visible

NAMED = 3  # rows whose reasons are told; the others are counted


def unusable(report: DataReport) -> tuple[str, ...]:
    """`1 of 5 rows could not be used: q.jsonl:4 (The answer is empty.)`; nothing where all of them were."""
    if not report.rejected:
        return ()
    told = [
        f"{visible(Path(each.source.file).name)}:{each.source.line} ({each.why.rstrip('.')})"
        for each in report.errors[:NAMED]
    ]
    more = [f"and {report.rejected - len(told):,} more"] if report.rejected > len(told) else []
    return (f"{report.rejected:,} of {report.rows:,} rows could not be used: {', '.join([*told, *more])}.",)
