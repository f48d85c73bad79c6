"""DataReport -> words and plain values. Whatever a file holds, what comes out here is harmless to print."""

from typing import Any

from core.data.examples import DataReport, Problem
from core.data.remarks import visible


def summary(report: DataReport, each: int | None = 3) -> str:
    """What was read, for a terminal: counts, shapes, and the problems, errors first.

    Of each kind of problem, the first `each` are shown and the others counted; None shows all.
    """
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for problem in sorted(report.problems, key=lambda problem: problem.severity):  # "error" < "warning"
        kinds.setdefault((problem.severity, problem.code), []).append(problem)
    lines = [_counts(report)]
    if report.shapes:
        lines.append(
            "Written as " + ", ".join(f"{name} ({rows:,})" for name, rows in report.shapes.items()) + "."
        )
    for problems in kinds.values():
        for problem in problems[:each]:
            source = visible(str(problem.source))
            lines.append(f"\n{source}: {problem.severity}: {problem.why} [{problem.code}]\n    {problem.fix}")
        if len(problems) > len(problems[:each]):
            lines.append(f"    … and {_times(len(problems[each:]), 'more line')} like this")
    hidden = len(report.problems) - sum(len(problems[:each]) for problems in kinds.values())
    if hidden:
        lines.append(f"\nand {hidden:,} more: use --json / --all")
    return "\n".join(lines)


def as_dict(report: DataReport) -> dict[str, Any]:
    """The report as plain values, for JSON."""
    return {
        "files": [visible(file) for file in report.files],
        "rows": report.rows,
        "kept": report.kept,
        "shapes": dict(report.shapes),
        "problems": [
            {
                "file": visible(problem.source.file),
                "line": problem.source.line,
                "severity": problem.severity,
                "code": problem.code,
                "why": problem.why,
                "fix": problem.fix,
            }
            for problem in report.problems
        ],
        "sha256": {visible(file): digest for file, digest in report.sha256.items()},
    }


def _counts(report: DataReport) -> str:
    files = ", ".join(visible(file) for file in report.files)
    lost = report.rows - report.kept
    counts = [_times(report.rows, "row")]
    if lost:
        counts.append(f"{report.kept:,} used and {lost:,} not")
    counts.append(_times(len(report.problems) - lost, "warning"))
    return f"{files}: {', '.join(counts)}."


def _times(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("s" if count != 1 else "")
