"""Comparisons as one HTML page each, which can be mailed, printed and kept: it asks nobody for anything."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from core.compare import plots, words
from core.compare.retrieval import WAYS, Comparison, Row, Shown, Way
from core.compare.runs import Compared
from core.data.remarks import visible
from core.evaluate.reports.page import STYLE

# Said in the page itself: even if something in it were taken for markup, nothing would be fetched, sent or run.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
RUNS = (
    ":root { --run-0: #1f5d81; --run-1: #935a00; --run-2: #1b6b50; --run-3: #a02c3c; }\n"
    "@media (prefers-color-scheme: dark) { :root { --run-0: #8fc1de; --run-1: #e3ad52; --run-2: #74c9a6; --run-3: #f0939d; } }\n"
    ".best { font-weight: 650; } .best::after { content: ' best'; color: var(--good); font-size: 12.5px; }\n"
    ".passages { border-left: 3px solid var(--rule); padding-left: 12px; } .drawn { margin: 12px 0; }\n"
)
FILE = "retrieval.html"  # in the run's reports/, beside retrieval.json
LOOKS = {"fine-tune": "helped", "retrieve": "helped", "both": "helped", "no clear difference": "unclear"}


def runs_page(compared: Compared) -> str:
    parts = [
        f"<header><h1>{escape(', '.join(compared.runs))}</h1><p>{escape(compared.order)}</p></header>",
        *(f'<p class="note">{escape(visible(remark))}</p>' for remark in compared.remarks),
        *scores(compared),
        "<h2>Curves</h2>",
        *(
            f'<div class="drawn">{drawn}</div>'
            for across in plots.ACROSS
            if (drawn := plots.losses(compared.curves, across))
        ),
        "<h2>Settings that differ</h2>",
        differing(compared) or "<p>None: their settings are the same.</p>",
        "<h2>Cost</h2>",
        costs(compared),
    ]
    return _whole("Runs compared", parts)


def retrieval_page(found: Comparison) -> str:
    decision = found.decision
    title = f"{found.run}: fine-tune, retrieve, or both?"
    parts = [
        f"<header><h1>{escape(title)}</h1><p>Base model <b>{escape(found.base_model)}</b>.</p></header>",
        f'<section class="verdict {LOOKS[decision.outcome]}"><h2>{escape(decision.headline)}</h2>'
        + "".join(f"<p>{escape(sentence)}</p>" for sentence in decision.sentences)
        + "</section>",
        *(f'<p class="note">{escape(visible(note))}</p>' for note in found.notes),
        "<h2>Four ways</h2>",
        ways(found),
        f"<h2>Differences in {escape(found.measures[0].label)}</h2>",
        differences(found),
        "<h2>How it was measured</h2>",
        *(f"<p>{escape(line)}</p>" for line in words.how(found)),
        "<h2>Every question</h2>",
        *(question(found, row) for row in found.rows),
    ]
    return _whole(title, parts)


def scores(compared: Compared) -> Iterable[str]:
    """Of each task: every run with its scores, and the main one drawn."""
    for label, lines in words.by_task(compared):
        yield f"<h2>{escape(label)}</h2>"
        main = next((line for line in lines if line.main), lines[0])
        yield plots.forest(
            [
                (plots.key(place, run) + "</span>", main.cells[run].tuned, plots.look(place)[0])
                for place, run in enumerate(compared.runs)
                if run in main.cells
            ]
        )
        rows = [
            (
                escape(run),
                *(
                    f'<span class="{"best" if each and each.best else ""}">{words.cell(each)}</span>'
                    for line in lines
                    for each in [line.cells.get(run)]
                ),
            )
            for run in compared.runs
        ]
        if of_base := words.base_row(lines):
            rows.append(("<i>base</i>", *map(escape, of_base)))
        yield table(label, ("Run", *map(words.measure_head, lines)), rows)
        for line in lines:
            yield f'<p class="small"><b>{escape(line.label)}</b>: {escape(line.definition)}.</p>'
    if any(cell.best for line in compared.lines for cell in line.cells.values()):
        yield f'<p class="small">{escape(words.BEST)}</p>'


def differing(compared: Compared) -> str:
    rows = [
        (f"<code>{escape(path)}</code>", *(escape(words.plain(values[run])) for run in compared.runs))
        for path, values in compared.differing.items()
    ]
    return table("Settings that differ", ("Setting", *compared.runs), rows) if rows else ""


def costs(compared: Compared) -> str:
    rows = [tuple(map(escape, row)) for row in words.cost_rows(compared)]
    return table("Cost", ("Run", *(head.capitalize() for head in words.COST_HEADS)), rows)


def ways(found: Comparison) -> str:
    heads = (
        "Way",
        *(measure.label for measure in found.measures),
        *(head.capitalize() for head in words.PRICE_HEADS),
    )
    return table("Four ways", heads, [tuple(map(escape, row)) for row in words.way_rows(found)])


def differences(found: Comparison) -> str:
    """What the decision turns on, drawn; green and red only where zero is left out."""
    return plots.differences(found, ("good", "bad", "quiet"))


def question(found: Comparison, row: Row) -> str:
    """One question with the reference, the passages and the four answers."""
    answers = [(escape(way.capitalize()), _said(found, row, way), _marks(found, row, way)) for way in WAYS]
    return (
        f'<details><summary>{escape(_short(row.question))}</summary><p class="text" dir="auto">{escape(row.question)}</p>'
        f'<p class="small">Reference</p><p class="text" dir="auto">{escape(row.reference)}</p>'
        + "".join(passage(found.shown[number]) for number in row.passages)
        + table("Answers", ("Way", "Answer", "Marks"), answers, "said")
        + "</details>"
    )


def passage(shown: Shown) -> str:
    lines = f"{shown.first}" if shown.first == shown.last else f"{shown.first}–{shown.last}"
    return (
        f'<div class="passages"><p class="small">{escape(visible(Path(shown.file).name))}:{lines}</p>'
        f'<p class="text" dir="auto">{escape(shown.text)}</p></div>'
    )


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], look: str = "figures") -> str:
    """Cells are HTML already; the first of each row is its head."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(
            f'<td data-head="{escape(head)}">{cell}</td>'
            for head, cell in zip(heads[1:], row[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="table {look}" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _said(found: Comparison, row: Row, way: Way) -> str:
    said = row.said[way]
    cut = ", cut off" if said.ended == "length" else ""
    return (
        f'<p class="text" dir="auto">{escape(said.text) or "<i>(nothing)</i>"}</p>'
        f'<p class="small">{said.read:,} tokens read, {said.written:,} written{cut}</p>'
    )


def _marks(found: Comparison, row: Row, way: Way) -> str:
    return "<br>".join(
        f"{escape(measure.label)} {row.marks[measure.name][way]:.2f}" for measure in found.measures
    )


def _short(text: str, most: int = 110) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}…"


def _whole(title: str, parts: Iterable[str]) -> str:
    style = STYLE.read_text("utf-8") + RUNS + plots.css()
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n'
        f"<body>\n<main>\n{chr(10).join(parts)}\n</main>\n</body>\n</html>\n"
    )
