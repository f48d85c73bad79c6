"""A report as one HTML page that can be mailed, printed and kept: it asks nobody for anything, and whatever a model said is
text in it. Rows are filtered by the style sheet alone; the script adds the search and the count.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from html import escape
from pathlib import Path

import core
from core.evaluate.report import Answer, Report, Row, Score, TaskReport, main, outcome
from core.evaluate.reports import plots, words
from core.runs.events import Progress

STYLE = Path(__file__).with_name("page.css")
SCRIPT = """
for (const rows of document.querySelectorAll('.rows')) {
  const search = rows.querySelector('input[type=search]'), count = rows.querySelector('output');
  const all = [...rows.querySelectorAll('tbody tr')];
  const words = all.map(row => row.textContent.toLowerCase());
  const look = () => {
    const kind = rows.querySelector('input[type=radio]:checked').value, wanted = search.value.trim().toLowerCase();
    let seen = 0;
    all.forEach((row, at) => {
      row.hidden = !words[at].includes(wanted);
      if (!row.hidden && (kind === 'all' || row.dataset.kinds.split(' ').includes(kind))) seen += 1;
    });
    count.textContent = `${seen.toLocaleString('en')} of ${all.length.toLocaleString('en')} rows`;
  };
  search.closest('label').hidden = false;
  rows.addEventListener('input', look);
  look();
}
addEventListener('beforeprint', () => document.querySelectorAll('details').forEach(each => { each.open = true; }));
"""
# Said in the page itself: even if something in it were taken for markup, nothing would be fetched, sent or run.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)
KINDS = {"all": "All", "win": "Wins", "loss": "Losses", "tie": "Ties", "unread": "Not parsed"}
RESULT = {"win": ("helped", "won"), "loss": ("hurt", "lost"), "tie": ("unclear", "tied")}


def as_html(report: Report, progress: Progress | None = None) -> str:
    """The whole page; with the run's progress, its loss curve is in it."""
    title = f"Evaluation of {report.run}"
    curve = plots.losses(progress) if progress else ""
    parts = [
        _head(report, title),
        _verdict(report),
        _overview(report),
        *(_task(report, task) for task in report.tasks),
        f'<section aria-labelledby="training"><h2 id="training">Training</h2>{curve}</section>'
        if curve
        else "",
        _prompts(report),
        *(_rows(report, task, at) for at, task in enumerate(report.tasks) if task.rows),
        _repeat(report),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n<style>\n{_style()}</style>\n</head>\n'
        f"<body>\n<main>\n{chr(10).join(filter(None, parts))}\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


@cache
def _style() -> str:
    return STYLE.read_text("utf-8")


def _head(report: Report, title: str) -> str:
    names = {"base": "the base", "tuned": "the tuned model", "merged": "the merged model"}
    scored = " and ".join(names[side] for side in report.sides)
    return (
        f"<header><h1>{escape(title)}</h1><p>Base model <b>{escape(report.base_model)}</b>; scored: {scored}; "
        f"{words.made(report)}; weights <code>{escape(report.model[:12])}</code>.</p></header>"
    )


def _verdict(report: Report) -> str:
    found = words.summary(report)
    forgotten = words.forgetting(report)
    sentences = "".join(f"<p>{escape(each)}</p>" for each in found.sentences)
    beside = "".join(f"<p>{escape(each)}</p>" for each in (forgotten.beside, forgotten.advice) if each)
    return (
        f'<section class="verdict {_look(found.verdict)}" id="verdict"><h2>{escape(found.headline)}</h2>{sentences}'
        f'<p class="forgetting {_look(forgotten.verdict)}"><b>{escape(forgotten.headline)}</b> {escape(forgotten.sentence)}</p>{beside}</section>'
    )


def _overview(report: Report) -> str:
    """The main score of every task, and the way to it."""
    if len(report.tasks) < 2:
        return ""
    lines = (
        (
            f'<a href="#task-{at}">{escape(task.label)}</a>',
            escape(score.label) + (" ↑" if score.higher_is_better else " ↓"),
            *_cells(report, score),
            f"{score.n:,}",
        )
        for at, task in enumerate(report.tasks)
        if (score := main(task))
    )
    return _table("Main score of each task", ("Task", "Score", *_columns(report), "n"), lines)


def _task(report: Report, task: TaskReport) -> str:
    at = report.tasks.index(task)
    tuned = words.name_of(report, "tuned")
    scores = "".join(_score(each, tuned) for each in task.scores[: words.DRAWN])
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in task.notes)
    how = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in words.how(task))
    rows = (
        f'<p><a href="#rows-{at}">Row by row: {words.count(len(task.rows), "rows")}</a></p>'
        if task.rows
        else ""
    )
    return (
        f'<section class="task" aria-labelledby="task-{at}"><h2 id="task-{at}">{escape(task.label)} {_badge(main(task))}</h2>'
        f"<p>{escape(task.about)}</p>{notes}"
        + ("" if scores else '<p class="note">No row could be scored.</p>')
        + f'<div class="drawn">{scores}{plots.outcomes(task)}{plots.lengths(task, tuned)}</div>{_others(report, task)}{_by_source(report, task)}{rows}'
        f"<h3>How it was scored</h3><dl>{how}</dl></section>"
    )


def _score(score: Score, tuned: str) -> str:
    better = "higher is better" if score.higher_is_better else "lower is better"
    return (
        f'<article class="score"><h3>{escape(score.label)} {_badge(score)}</h3>{plots.intervals(score, tuned)}'
        f'<p class="small">{escape(score.definition)}; {better}; measured on {words.count(score.n, score.of)}.</p></article>'
    )


def _others(report: Report, task: TaskReport) -> str:
    """The scores that are not drawn, and what they are."""
    others = task.scores[words.DRAWN :]
    if not others:
        return ""
    lines = (
        (escape(s.label) + (" ↑" if s.higher_is_better else " ↓"), *_cells(report, s), words.count(s.n, s.of))
        for s in others
    )
    definitions = "".join(f"<dt>{escape(s.label)}</dt><dd>{escape(s.definition)}</dd>" for s in others)
    return _table(f"Other scores of {task.label}", ("Score", *_columns(report), "n"), lines) + (
        f'<dl class="small">{definitions}</dl>'
    )


def _by_source(report: Report, task: TaskReport) -> str:
    if not task.by_source:
        return ""
    lines = (
        (
            escape(words.place(each.source)),
            *_cells(report, each.score),
            words.count(each.score.n, each.score.of),
        )
        for each in task.by_source
    )
    return _table(f"{main(task).label}, by data set", ("Data set", *_columns(report), "n"), lines)


def _prompts(report: Report) -> str:
    if not report.prompts:
        return ""
    sides = words.sides(report)
    lines = (
        (_text(each.question), *(_answer(getattr(each, side)) for side in sides)) for each in report.prompts
    )
    names = ("Question", *(words.name_of(report, side) for side in sides))
    return f"<section><h2>Your own questions</h2>{_table('Answers to them', names, lines, 'said')}</section>"


def _rows(report: Report, task: TaskReport, at: int) -> str:
    """Every row of the task with what was said, to be looked through by kind."""
    tally = words.tally(task) | {"all": len(task.rows)}
    choices = "".join(
        f'<label><input type="radio" name="show-{at}" value="{kind}"{" checked" if kind == "all" else ""}> {name} '
        f"<b>{tally[kind]:,}</b></label>"
        for kind, name in KINDS.items()
        if tally[kind] or kind == "all"
    )
    names = tuple(words.name_of(report, side) for side in words.sides(report))
    return (
        f'<section class="rows" aria-labelledby="rows-{at}"><h2 id="rows-{at}">{escape(task.label)}, row by row</h2>'
        f'<fieldset><legend>Show</legend>{choices}<label class="search" hidden>Search <input type="search"></label>'
        "<output></output></fieldset>"
        + _table(
            f"Rows of {task.label}",
            ("Question", "Reference", *names),
            (_row(report, task, row) for row in task.rows),
            "said",
            (" ".join(words.kinds(row, task)) for row in task.rows),
        )
        + "</section>"
    )


def _row(report: Report, task: TaskReport, row: Row) -> Iterator[str]:
    won = outcome(row, task)
    badge = f'<span class="badge {RESULT[won][0]}">{RESULT[won][1]}</span> ' if won else ""
    yield f'{_text(row.question)}<p class="small">{badge}{escape(words.place(row.source))}</p>'
    yield _text(row.reference)
    for side in words.sides(report):
        yield _said(row, task, side)


def _said(row: Row, task: TaskReport, side: str) -> str:
    """What one model said, what was read out of it, and what that was worth."""
    answer, notes = getattr(row, side), words.notes(row, task, side, escape)
    if answer is None:
        return f'<p class="small">{"; ".join(notes)}</p>'
    if task.kind == "choice":  # nothing was written, so nothing ended
        return f'{_text(answer.text)}<p class="small">{"; ".join(notes)}</p>'
    return _answer(answer, notes)


def _answer(answer: Answer | None, notes: Iterable[str] = ()) -> str:
    if answer is None:
        return '<p class="small">not asked</p>'
    said = _text(answer.text) if answer.text else "<p><i>(nothing)</i></p>"
    return f'{said}<p class="small">{"; ".join([words.ended(answer), *notes])}</p>'


def _repeat(report: Report) -> str:
    lines = "\n".join(words.commands(report))
    return (
        '<section aria-labelledby="repeat"><h2 id="repeat">How to repeat it</h2>'
        f"<p>In the folder that holds <code>runs/</code>:</p><pre>{escape(lines)}</pre>"
        f'<p class="small">Greedy decoding and seeded resampling: the same weights on the same machine give the same figures. '
        f"Made with Atelier {core.__version__}.</p></section>"
    )


def _columns(report: Report) -> tuple[str, ...]:
    names = tuple(words.name_of(report, side) for side in words.sides(report))
    return (*names, "Difference", "Verdict") if len(names) == 2 else names


def _cells(report: Report, score: Score) -> tuple[str, ...]:
    cells = tuple(words.in_brackets(getattr(score, side)) for side in words.sides(report))
    return (*cells, words.in_brackets(score.difference, "+"), _badge(score)) if len(cells) == 2 else cells


def _table(
    caption: str,
    heads: Iterable[str],
    lines: Iterable[Iterable[str]],
    look: str = "figures",
    kinds: Iterable[str] | None = None,
) -> str:
    """Cells are HTML already; the first of each line is its head."""
    heads = tuple(heads)
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = []
    for line, kind in (
        zip(lines, kinds, strict=True) if kinds is not None else ((line, None) for line in lines)
    ):
        first, *rest = line
        cells = f'<th scope="row">{first}</th>' + "".join(
            f'<td data-head="{escape(head)}">{cell}</td>' for head, cell in zip(heads[1:], rest, strict=True)
        )
        body.append(f"<tr{'' if kind is None else f' data-kinds={chr(34)}{kind}{chr(34)}'}>{cells}</tr>")
    return (
        f'<div class="table {look}" tabindex="0" role="region" aria-label="{escape(caption)}"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _text(text: str) -> str:
    """Of any language and direction, with its own lines."""
    return f'<p class="text" dir="auto">{escape(text)}</p>'


def _badge(score: Score | None) -> str:
    if score is None or score.verdict is None:
        return ""
    return f'<span class="badge {_look(score.verdict)}">{score.verdict}</span>'


def _look(verdict: str | None) -> str:
    return {"helped": "helped", "hurt": "hurt", "mixed": "mixed"}.get(verdict or "", "unclear")
