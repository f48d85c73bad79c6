"""Runs side by side, and a run against retrieval, as parts of the Compare page."""

import re

from core.compare import plots, words
from core.compare.page import LOOKS
from core.compare.retrieval import WAYS, Comparison, Row, Shown, Way
from core.compare.runs import Compared, Line
from core.data.remarks import visible
from webui.language import number, t
from webui.render.data import file_name
from webui.render.evaluate import in_brackets, say
from webui.render.parts import INTERVALS, as_written, count, hint, plain, section, table, text

FEW = "Choose two runs or more above to put them side by side; start them on the Train page."
_UNLIKE = re.compile(
    r"(?P<measures>.+) on (?P<task>.+) cannot be compared: (?P<why>.+)\. No best is marked\."
)
ANSWERS = 40  # questions that are drawn; the downloaded page has all of them


def scores(compared: Compared) -> str:
    """Remarks first, then every task: the main measure drawn, and all of them in figures."""
    remarks = "".join(f'<p class="caution">{text(_remark(remark))}</p>' for remark in compared.remarks)
    tasks = words.by_task(compared)
    if not tasks:
        return remarks + hint(t("None of these runs has been scored yet; do that on the Evaluate page."))
    marked = any(cell.best for line in compared.lines for cell in line.cells.values())
    return (
        section(t("Scores"), say(compared.order))
        + hint(t(INTERVALS))
        + remarks
        + "".join(task(compared, label, lines) for label, lines in tasks)
        + (hint(say(words.BEST)) if marked else "")
    )


def _remark(remark: str) -> str:
    """Why scores are not held against each other is put together of parts, each with the runs' values in brackets."""
    found = _UNLIKE.fullmatch(remark := visible(remark))
    if not found:
        return say(remark)
    parts = (part.partition(" (") for part in found["why"].split("; "))
    return t(
        "{measures} on {task} cannot be compared: {why}. No best is marked.",
        measures=", ".join(map(say, found["measures"].split(", "))),
        task=say(found["task"]),
        why=t("; ").join(f"{t(what)}{bracket}{values}" for what, bracket, values in parts),
    )


def task(compared: Compared, label: str, lines: list[Line]) -> str:
    main = next((line for line in lines if line.main), lines[0])
    drawn = plots.forest(
        [
            (plots.key(place, run) + "</span>", main.cells[run].tuned, plots.look(place)[0])
            for place, run in enumerate(compared.runs)
            if run in main.cells
        ],
        say=say,
    )
    rows = [
        (as_written(run), *(_cell(line, run) for line in lines))
        for run in compared.runs
        if any(run in line.cells for line in lines)
    ]
    if of_base := words.base_row(lines):
        rows.append((f"<i>{t('Base')}</i>", *(_figure(say(each)) for each in of_base)))
    definitions = "".join(
        f"<dt>{text(say(line.label))}</dt><dd>{text(say(line.definition))}{t('; ')}{_measured_on(line)}.</dd>"
        for line in lines
    )
    heads = (t("Run"), *(f"#{_head(line)}" for line in lines))
    return (
        f'<article class="compared"><h3>{text(say(label))}</h3><p class="drawn">{text(_head(main))}</p>'
        f"{drawn}{table(heads, rows, 'scored')}"
        f"<details><summary>{t('What is measured')}</summary><dl>{definitions}</dl></details></article>"
    )


def _head(line: Line) -> str:
    return f"{say(line.label)} {'↑' if line.higher_is_better else '↓'}"


def _measured_on(line: Line) -> str:
    rows = dict.fromkeys(number(cell.n) for cell in line.cells.values())
    return t("measured on {rows}", rows=", ".join(rows))


def curves(compared: Compared, across: str) -> str:
    drawn = plots.losses(compared.curves, across, say)
    return drawn or hint(t("None of these runs has taken a step yet."))


def settings_and_cost(compared: Compared) -> str:
    rows = [
        (f"<code>{text(path)}</code>", *(_plain(values[run]) for run in compared.runs))
        for path, values in compared.differing.items()
    ]
    heads = ("#" + t(head.capitalize()) for head in words.COST_HEADS)
    costs = [(as_written(run), *(text(say(each)) for each in row)) for run, *row in words.cost_rows(compared)]
    return (
        section(t("Settings that differ"))
        + (table((t("Setting"), *compared.runs), rows, "differing") if rows else hint(t("None.")))
        + section(t("Cost"))
        + table((t("Run"), *heads), costs, "priced")
    )


def _plain(value: object) -> str:
    """A setting's value, which may be a person's words; a dash for none."""
    return as_written(visible(plain(value)) or "–")


def retrieval(found: Comparison) -> str:
    """The decision first, then what it rests on."""
    decision = found.decision
    notes = "".join(f"<li class=warning>{text(say(visible(note)))}</li>" for note in found.notes)
    how = "".join(f"<li>{text(say(line))}</li>" for line in words.how(found))
    rows = [(text(say(way)), *(text(say(each)) for each in row)) for way, *row in words.way_rows(found)]
    heads = (
        t("Way"),
        *(f"#{say(measure.label)}" for measure in found.measures),
        *("#" + t(head.capitalize()) for head in words.PRICE_HEADS),
    )
    differ = t("Differences in {measure}", measure=say(found.measures[0].label))
    return (
        f'<section class="decision {LOOKS[decision.outcome]}"><h2>{text(say(decision.headline))}</h2>'
        + "".join(f"<p>{text(say(sentence))}</p>" for sentence in decision.sentences)
        + "</section>"
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
        + section(differ, t("clear where the band leaves out zero"))
        + f'<article class="compared">{differences(found)}</article>'
        + section(t("Four ways"), t("{questions} each", questions=count(found.n, "question")))
        + table(heads, rows, "priced")
        + section(t("How it was measured"))
        + f'<ul class="notes">{how}</ul>'
        + answers(found)
    )


def differences(found: Comparison) -> str:
    return plots.differences(found, ("viridian", "madder", "edge"), say)


def answers(found: Comparison) -> str:
    shown = found.rows[:ANSWERS]
    first = t("the first {n} of {all}", n=number(len(shown)), all=number(len(found.rows)))
    return section(t("Every question"), first if len(shown) < len(found.rows) else "") + "".join(
        _row(found, row) for row in shown
    )


def _row(found: Comparison, row: Row) -> str:
    passages = "".join(
        f'<blockquote class="passage"><small>{_from(each)}</small>'
        f'<p dir="auto" translate="no">{text(each.text)}</p></blockquote>'
        for each in (found.shown[number] for number in row.passages)
    )
    lines = [(t(way.capitalize()), _answer(found, row, way)) for way in WAYS]
    return (
        f'<details class="asked"><summary dir="auto" translate="no">{text(" ".join(row.question.split()))}</summary>'
        f'<p><small>{t("Reference")}</small><br><span dir="auto" translate="no">{text(row.reference)}</span></p>'
        f"{table((t('Way'), t('Answer')), lines, 'ways')}"
        + (
            f"<p><small>{t('Passages')}</small></p>{passages}"
            if passages
            else hint(t("No passage was shown."))
        )
        + "</details>"
    )


def _from(passage: Shown) -> str:
    return t(
        "{file}, line {n}",
        file=as_written(file_name(passage.file)),
        n=number(passage.first),
    )


def _answer(found: Comparison, row: Row, way: Way) -> str:
    said = row.said[way]
    marks = [f"{say(each.label)} {number(row.marks[each.name][way], '.2f')}" for each in found.measures]
    how = [*marks, t("{n} tokens read", n=number(said.read)), t("{n} written", n=number(said.written))]
    if said.ended == "length":
        how.append(t("cut off at the longest allowed"))
    given = text(said.text) or f"<i>{t('(nothing)')}</i>"
    no = ' translate="no"' if said.text else ""
    return f'<p dir="auto"{no}>{given}</p><small>{text(", ".join(how))}</small>'


def _cell(line: Line, run: str) -> str:
    each = line.cells.get(run)
    best = f'<span class="badge best">{t("best")}</span> ' if each and each.best else ""
    return best + _figure(in_brackets(each.tuned if each else None))


def _figure(said: str) -> str:
    """Where there is no room for both beside each other, the interval goes below its value, whole."""
    value, bracket, interval = text(said).partition("[")
    return f'{value}<span class="interval">{bracket}{interval}</span>'
