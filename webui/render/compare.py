"""Runs side by side, and a run against retrieval, as parts of the Compare page."""

from core.compare import plots, words
from core.compare.page import LOOKS
from core.compare.retrieval import WAYS, Comparison, Row, Way
from core.compare.runs import Compared, Line
from core.data.remarks import visible
from webui.render.data import file_name
from webui.render.parts import INTERVALS, count, hint, section, table, text

FEW = "Choose two runs or more to put them side by side."
ANSWERS = 40  # questions that are drawn; the downloaded page has all of them


def scores(compared: Compared) -> str:
    """Remarks first, then every task: the main measure drawn, and all of them in figures."""
    remarks = "".join(f'<p class="caution">{text(visible(remark))}</p>' for remark in compared.remarks)
    tasks = words.by_task(compared)
    if not tasks:
        return remarks + hint("None of these runs has been scored yet; the Evaluate page does that.")
    marked = any(cell.best for line in compared.lines for cell in line.cells.values())
    return (
        section("Scores", compared.order)
        + hint(INTERVALS)
        + remarks
        + "".join(task(compared, label, lines) for label, lines in tasks)
        + (hint(words.BEST) if marked else "")
    )


def task(compared: Compared, label: str, lines: list[Line]) -> str:
    main = next((line for line in lines if line.main), lines[0])
    drawn = plots.forest(
        [
            (plots.key(place, run) + "</span>", main.cells[run].tuned, plots.look(place)[0])
            for place, run in enumerate(compared.runs)
            if run in main.cells
        ]
    )
    rows = [
        (text(run), *(_cell(line, run) for line in lines))
        for run in compared.runs
        if any(run in line.cells for line in lines)
    ]
    if of_base := words.base_row(lines):
        rows.append(("<i>base</i>", *map(text, of_base)))
    definitions = "".join(
        f"<dt>{text(line.label)}</dt><dd>{text(line.definition)}; measured on "
        f"{', '.join(dict.fromkeys(f'{cell.n:,}' for cell in line.cells.values()))}.</dd>"
        for line in lines
    )
    heads = ("Run", *(f"#{words.measure_head(line)}" for line in lines))
    return (
        f'<article class="compared"><h3>{text(label)}</h3><p class="drawn">{text(words.measure_head(main))}</p>{drawn}'
        f"{table(heads, rows, 'scored')}<details><summary>What is measured</summary><dl>{definitions}</dl></details></article>"
    )


def curves(compared: Compared, across: str) -> str:
    drawn = plots.losses(compared.curves, across)
    return drawn or hint("None of these runs has taken a step yet.")


def settings_and_cost(compared: Compared) -> str:
    rows = [
        (f"<code>{text(path)}</code>", *(text(words.plain(values[run])) for run in compared.runs))
        for path, values in compared.differing.items()
    ]
    differing = table(("Setting", *compared.runs), rows, "differing") if rows else hint("None.")
    heads = ("Run", *(f"#{head.capitalize()}" for head in words.COST_HEADS))
    costs = table(heads, [tuple(map(text, row)) for row in words.cost_rows(compared)], "priced")
    return section("Settings that differ") + differing + section("Cost") + costs


def retrieval(found: Comparison) -> str:
    """The decision first, then what it rests on."""
    decision = found.decision
    notes = "".join(f"<li class=warning>{text(visible(note))}</li>" for note in found.notes)
    how = "".join(f"<li>{text(line)}</li>" for line in words.how(found))
    rows = [tuple(map(text, row)) for row in words.way_rows(found)]
    heads = (
        "Way",
        *(f"#{measure.label}" for measure in found.measures),
        *(f"#{head.capitalize()}" for head in words.PRICE_HEADS),
    )
    return (
        f'<section class="decision {LOOKS[decision.outcome]}"><h2>{text(decision.headline)}</h2>'
        + "".join(f"<p>{text(sentence)}</p>" for sentence in decision.sentences)
        + "</section>"
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
        + section(f"Differences in {found.measures[0].label}", "clear where the band leaves out zero")
        + f'<article class="compared">{differences(found)}</article>'
        + section("Four ways", f"{count(found.n, 'question')} each")
        + table(heads, rows, "priced")
        + section("How it was measured")
        + f'<ul class="notes">{how}</ul>'
        + answers(found)
    )


def differences(found: Comparison) -> str:
    return plots.differences(found, ("viridian", "madder", "edge"))


def answers(found: Comparison) -> str:
    shown = found.rows[:ANSWERS]
    more = f", the first {len(shown)} of {len(found.rows)}" if len(shown) < len(found.rows) else ""
    return section(f"Every question{more}") + "".join(_row(found, row) for row in shown)


def _row(found: Comparison, row: Row) -> str:
    passages = "".join(
        f'<blockquote class="passage"><small>{text(file_name(each.file))}, line {each.first}</small>'
        f'<p dir="auto">{text(each.text)}</p></blockquote>'
        for each in (found.shown[number] for number in row.passages)
    )
    lines = [(text(way.capitalize()), _answer(found, row, way)) for way in WAYS]
    return (
        f'<details class="asked"><summary dir="auto">{text(" ".join(row.question.split()))}</summary>'
        f'<p><small>Reference</small><br><span dir="auto">{text(row.reference)}</span></p>'
        f"{table(('Way', 'Answer'), lines, 'ways')}"
        + (f"<p><small>Passages</small></p>{passages}" if passages else hint("No passage was shown."))
        + "</details>"
    )


def _answer(found: Comparison, row: Row, way: Way) -> str:
    said = row.said[way]
    marks = ", ".join(f"{each.label} {row.marks[each.name][way]:.2f}" for each in found.measures)
    cut = ", cut off at the longest allowed" if said.ended == "length" else ""
    return (
        f'<p dir="auto">{text(said.text) or "<i>(nothing)</i>"}</p>'
        f"<small>{text(marks)}, {said.read:,} tokens read, {said.written:,} written{cut}</small>"
    )


def _cell(line: Line, run: str) -> str:
    each = line.cells.get(run)
    best = '<span class="badge best">best</span> ' if each and each.best else ""
    return best + text(words.cell(each))
