"""DataReport -> words and plain values. Whatever a file holds, what comes out here is harmless to print."""

from collections.abc import Iterable
from typing import Any

from core.data.examples import DataReport, Example, Problem
from core.data.remarks import visible

ALIKE = 3  # problems of one code that Markdown shows


def summary(seen: dict[str, Any], each: int | None = 3) -> str:
    """What `as_dict` holds, for a terminal: counts, shapes, and the problems, errors first.

    Of each kind of problem, the first `each` are shown and the others counted; None shows all that are listed.
    """
    lines = [_counts(seen)]
    if seen["shapes"]:
        lines.append(
            "Written as " + ", ".join(f"{name} ({rows:,})" for name, rows in seen["shapes"].items()) + "."
        )
    if len(seen["languages"]) > 1:
        lines.append(f"Languages, as far as they can be told: {_languages(seen['languages'])}.")
    for code, times in seen["dropped"].items():
        lines.append(f"{_times(times, 'example')} left out for {code}, as data.drop says.")
    hidden = 0
    for severity, codes in seen["counts"].items():
        for code, times in codes.items():
            alike = [one for one in seen["problems"] if (one["severity"], one["code"]) == (severity, code)][
                :each
            ]
            for one in alike:
                lines.append(f"\n{place(one)}: {severity}: {one['why']} [{code}]\n    {one['fix']}")
            if more := times - len(alike):
                lines.append(f"    … and {_times(more, 'more line')} like this")
                hidden += more
    if hidden:
        lines.append(f"\nand {hidden:,} more: use --json / --all")
    return "\n".join(lines)


def as_dict(report: DataReport) -> dict[str, Any]:
    """The report as plain values, for JSON. Of each code, `problems` lists the first 1,000; `counts` has them all."""
    return {
        "files": [visible(file) for file in report.files],
        "rows": report.rows,
        "kept": report.kept,
        "rejected": report.rejected,
        "dropped": dict(report.dropped),
        "shapes": dict(report.shapes),
        "kinds": {visible(file): kind for file, kind in report.kinds.items()},
        "columns": {visible(file): list(keys) for file, keys in report.columns.items()},
        "sample": list(report.sample),
        "guessed": {visible(file): dict(meant) for file, meant in report.guessed.items()},
        "droppable": list(report.droppable),
        "languages": dict(report.languages),
        "problems": [as_plain(problem) for problem in report.problems],
        "counts": {
            severity: {code: times for (which, code), times in report.counts.items() if which == severity}
            for severity in ("error", "warning")
        },
        "sha256": {visible(file): digest for file, digest in report.sha256.items()},
    }


def is_single_turn(examples: Iterable[Example]) -> bool:
    """Whether there is one question in each of these conversations."""
    return all(sum(message.role == "user" for message in example.messages) == 1 for example in examples)


def as_plain(problem: Problem) -> dict[str, Any]:
    return {
        "file": visible(problem.source.file),
        "line": problem.source.line,
        "part": problem.source.part,
        "severity": problem.severity,
        "code": problem.code,
        "why": problem.why,
        "fix": problem.fix,
    }


def place(problem: dict[str, Any]) -> str:
    """`poems.jsonl:3`, or `poems.json:1#12` where the line holds several."""
    return f"{problem['file']}:{problem['line']}" + (f"#{problem['part']}" if problem["part"] > 1 else "")


def conversation(example: Example) -> dict[str, Any]:
    """An example as plain values: where it stands, and who says what."""
    return {
        "file": visible(example.source.file),
        "line": example.source.line,
        "part": example.source.part,
        "tools": list(example.tools),
        "messages": [
            {
                "role": message.role,
                "content": message.content,
                "trained": message.role == "assistant" and message.trained,
                "calls": [{"name": call.name, "arguments": call.arguments} for call in message.calls],
            }
            for message in example.messages
        ],
    }


def as_markdown(seen: dict[str, Any]) -> str:
    """What `core.examine` saw, as a document."""
    lines = [
        "# Data report",
        "",
        f"Files: {', '.join(_code(f'{file}') + f' ({kind})' for file, kind in seen['kinds'].items())}",
        "",
        "| Rows | Used | Not used |",
        "|---:|---:|---:|",
        f"| {seen['rows']:,} | {seen['kept']:,} | {seen['rejected']:,} |",
    ]
    if added := seen.get("added"):
        lines += [
            "",
            f"**{_times(added, 'row')} {'was' if added == 1 else 'were'} added to the clean copy later**, and not counted "
            "here; `atelier data check` looks at all of them.",
        ]
    if seen["shapes"]:
        lines += [
            "",
            "Written as " + ", ".join(f"{name} ({rows:,})" for name, rows in seen["shapes"].items()) + ".",
        ]
    if seen["languages"]:
        lines += ["", f"Languages: {_languages(seen['languages'])}."]
    if lengths := seen.get("lengths"):
        lines += _lengths(lengths)
    for check in seen.get("stops", ()):
        lines += ["", f"- {'yes' if check['ok'] else '**NO**'}: {check['text']}"]
    for severity, title in (("error", "Rows that cannot be used"), ("warning", "Worth knowing")):
        found = [each for each in seen["problems"] if each["severity"] == severity]
        if found:
            lines += ["", f"## {title}", "", "| Code | Rows | First lines | What is wrong | What to do |"]
            lines += ["|---|---:|---|---|---|"]
        for code, times in seen["counts"][severity].items():
            alike = [each for each in found if each["code"] == code]
            where = ", ".join(_code(place(each)) for each in alike[:ALIKE])
            words = (_cell(alike[0]["why"]), _cell(alike[0]["fix"]))
            lines.append(f"| {code} | {times:,} | {where} | {words[0]} | {words[1]} |")
    return "\n".join(lines) + "\n"


def _lengths(lengths: dict[str, Any]) -> list[str]:
    quantiles = ", ".join(f"{name} {tokens:,}" for name, tokens in lengths["quantiles"].items())
    share = lengths["trained_tokens"] / max(1, lengths["tokens"])
    return [
        "",
        f"Tokens of {lengths['base']}: {lengths['tokens']:,} a pass, of which {share:.0%} are trained. {quantiles}.",
        "",
        "| At a maximum length of | Examples cut | Tokens lost |",
        "|---:|---:|---:|",
        *(
            f"| {cost['max_length']:,} | {cost['cut_rows']:,} | {cost['cut_tokens']:,} |"
            for cost in lengths["costs"]
        ),
    ]


def _counts(seen: dict[str, Any]) -> str:
    rejected, warnings = seen["rejected"], sum(seen["counts"]["warning"].values())
    counts = [_times(seen["rows"], "row")]
    if rejected:
        counts.append(f"{seen['rows'] - rejected:,} used and {rejected:,} not")
    counts.append(_times(warnings, "warning"))
    return f"{', '.join(seen['files'])}: {', '.join(counts)}."


def _languages(shares: dict[str, float]) -> str:
    return ", ".join(f"{language} {share:.0%}" for language, share in shares.items())


def _times(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("s" if count != 1 else "")


def _code(text: str) -> str:
    return "`" + text.replace("`", "'").replace("|", "\\|").replace("\n", " ") + "`"


def _cell(text: str) -> str:
    """Text that stays in its cell of a table and is no markup."""
    return "".join(f"\\{each}" if each in "|<>*_[]\\" else each for each in text.replace("\n", " "))
