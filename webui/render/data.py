"""Examples before anything is trained on them: what was read, what was not, and how the model will see it."""

import re
from pathlib import Path
from typing import Any

from core.data.examples import DataReport, Problem, Source
from webui.render.parts import count, figures, hint, section, table, text

SPECIAL = re.compile(r"<\|?/?\w+\|?>")  # </s>, <|im_end|>, <0x0A>
MOST_PROBLEMS = 50
EXAMPLES = 3
SIGN = {"error": "not used", "warning": "used"}
HONEST = (
    "The built-in model Fable is tiny, with 7 million parameters raised on tales: it can learn to answer the way your "
    "examples do, in a minute and on any computer, but it knows nothing of the world, reasons about nothing, and is "
    "often wrong beyond what you showed it. For real work, choose a larger base model on the Train page."
)


def report(read: DataReport, title: str = "What was read") -> str:
    """Numbers first, then what is wrong line by line, then the first examples."""
    names = ", ".join(file_name(file) for file in read.files)
    shapes = ", ".join(f"{shape} ({rows:,})" for shape, rows in read.shapes.items())
    return (
        section(title, names)
        + figures(
            (
                ("Rows", f"{read.rows:,}"),
                ("Kept", f"{read.kept:,}"),
                ("Not used", f"{read.rows - read.kept:,}"),
            )
        )
        + (hint(f"Written as {shapes}.") if shapes else "")
        + problems(read.problems)
        + examples(read)
    )


def problems(found: tuple[Problem, ...]) -> str:
    if not found:
        return hint("Every row can be used.")
    rows = (
        (
            source(problem.source),
            f'<span class="badge {problem.severity}">{SIGN[problem.severity]}</span>',
            text(problem.why),
            text(problem.fix),
        )
        for problem in found[:MOST_PROBLEMS]
    )
    more = len(found) - MOST_PROBLEMS
    return (
        section("Problems", count(len(found), "line") + " to look at")
        + table(("Line", "Row is", "What is wrong", "What to do"), rows, "problems")
        + (hint(f"… and {more:,} more.") if more > 0 else "")
    )


def examples(read: DataReport) -> str:
    """The first examples as the conversations they were understood to be."""
    shown = "".join(
        f'<article class="example"><small>{source(example.source)}</small>'
        + "".join(
            f'<p class="{message.role}"><b>{message.role}</b><span>{text(message.content)}</span></p>'
            for message in example.messages
        )
        + "</article>"
        for example in read.examples[:EXAMPLES]
    )
    return section("The first examples") + f'<div class="examples">{shown}</div>' if shown else ""


def tokens(seen: dict[str, Any], base: str, max_length: int) -> str:
    """Rows as the model sees them, from `core data show`."""
    share = seen["trained_tokens"] / max(seen["tokens"], 1)
    rows = "".join(
        f"<article><small>{source_words(row['source'])}, "
        f"{'trained on' if row['split'] == 'train' else 'held out to measure on'}</small>"
        f"<p>{''.join(_token(token, seen['added_tokens']) for token in row['tokens'])}</p></article>"
        for row in seen["rows"]
    )
    checks = "".join(
        f'<li class="{"good" if check["ok"] else "bad"}">{text(check["text"])}</li>'
        for check in seen["stops"]
    )
    lost = [
        f"{count(seen['cut_rows'], 'example is', 'examples are')} cut ({seen['cut_tokens']:,} tokens)."
        if seen["cut_rows"]
        else "",
        f"{count(seen['skipped'], 'example is', 'examples are')} left out." if seen["skipped"] else "",
    ]
    return (
        section("As the model sees them", f"{base}, {max_length:,} tokens at most")
        + '<p class="legend"><span class="trained">trained</span> the model learns to write this; '
        '<span class="context">context</span> it only reads this; <span class="cut">cut</span> too long, never seen.</p>'
        + f'<div class="tokens">{rows}</div>'
        + figures(
            (
                ("To train on", f"{seen['examples']:,}"),
                ("Held out", f"{seen['held_out']:,}"),
                ("Tokens a pass", f"{seen['tokens']:,}"),
                ("Of them trained", f"{share:.0%}"),
                ("Longest", count(seen["longest"], "token")),
            )
        )
        + "".join(f'<p class="caution">{text(sentence)}</p>' for sentence in lost if sentence)
        + section("Will it stop?")
        + f'<ul class="checks">{checks}</ul>'
    )


def source(where: Source) -> str:
    return f"<code>{text(file_name(where.file))}:{where.line}</code>"


def source_words(where: str) -> str:
    """`/kept/0a1b/poems.jsonl:3` as `poems.jsonl:3`."""
    file, _, line = where.rpartition(":")
    return f"<code>{text(file_name(file))}:{text(line)}</code>"


def file_name(file: str) -> str:
    """A file by its last part; a built-in sample by its name."""
    return file if file.startswith("sample:") else Path(file).name


def _token(token: dict[str, Any], added: list[str]) -> str:
    special = " special" if token["text"] in added or SPECIAL.fullmatch(token["text"]) else ""
    shown = text(token["text"]).replace("\n", "<s>↵</s><wbr>")
    return f'<span class="{token["state"]}{special}" title="id {token["id"]:d}">{shown}</span>'
