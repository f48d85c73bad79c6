"""Comparisons in words and tables for a terminal; the figures that pages show, too, are written here."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from core.compare.decision import seconds
from core.compare.plots import short
from core.compare.retrieval import WAYS, Comparison
from core.compare.runs import Cell, Compared, Cost, Line
from core.data.remarks import visible
from core.evaluate.reports.words import count, in_brackets, number
from core.show import console_of, duration

BEST = "Best: clearly better than every other run, row by row where that is known, else by intervals that lie apart."
WIDTH = 200  # of what is no terminal; a table that is folded cannot be read by a program
WIDEST = 10_000  # columns, to measure what a table would take


def as_text(compared: Compared) -> str:
    parts: list[Text | Table] = [Text(compared.order), Text()]
    for label, lines in by_task(compared):
        parts += [Text(label, style="bold"), *_scores(compared.runs, lines), Text()]
    if any(cell.best for line in compared.lines for cell in line.cells.values()):
        parts += [Text(f"* {BEST}", style="dim"), Text()]
    if compared.differing:
        parts += [Text("Settings that differ", style="bold"), _differing(compared), Text()]
    else:
        parts += [Text("Their settings are the same."), Text()]
    parts += [Text("Cost", style="bold"), _table(("", *COST_HEADS), cost_rows(compared)), Text()]
    parts += [Text(f"! {remark}", style="yellow") for remark in map(visible, compared.remarks)]
    return _printed(parts)


def retrieval_as_text(found: Comparison) -> str:
    heads = ("", *(measure.label for measure in found.measures), *PRICE_HEADS)
    parts: list[Text | Table] = [
        Text(found.decision.headline, style="bold"),
        Text(),
        *(Text(sentence) for sentence in found.decision.sentences),
        Text(),
        _table(heads, way_rows(found)),
        Text(),
        *(Text(line, style="dim") for line in how(found)),
        *(Text(f"! {visible(note)}", style="yellow") for note in found.notes),
    ]
    return _printed(parts)


def by_task(compared: Compared) -> list[tuple[str, list[Line]]]:
    """(what the task is called, its measures), in order."""
    found: dict[str, list[Line]] = {}
    for line in compared.lines:
        found.setdefault(line.task, []).append(line)
    return [(lines[0].task_label, lines) for lines in found.values()]


def measure_head(line: Line) -> str:
    return f"{line.label} {'↑' if line.higher_is_better else '↓'}"


COST_HEADS = ("steps", "time", "tokens", "peak memory", "where", "cost", "lowest held-out loss")


def cost_rows(compared: Compared) -> Iterable[tuple[str, ...]]:
    for name in compared.runs:
        loss = compared.held_out.get(name)
        yield name, *cost(compared.costs[name]), "–" if loss is None else f"{loss:.3f}"


def cost(each: Cost) -> tuple[str, ...]:
    return (
        f"{each.steps:,}",
        duration(each.seconds),
        short(each.tokens),
        size(each.memory_bytes) if each.memory_bytes else "–",
        each.device or "–",
        "–" if each.usd is None else f"${each.usd:,.2f}",
    )


def size(octets: float) -> str:
    return f"{octets / 1e9:.3g} GB" if octets >= 1e9 else f"{octets / 1e6:.3g} MB"


PRICE_HEADS = ("tokens read", "written", "median", "9 of 10 within")


def way_rows(found: Comparison) -> Iterable[tuple[str, ...]]:
    for way in WAYS:
        price = found.prices[way]
        yield (
            way.capitalize(),
            *(in_brackets(measure.ways[way]) for measure in found.measures),
            number(price.read),
            number(price.written),
            seconds(price.seconds),
            seconds(price.seconds_90),
        )


def how(found: Comparison) -> tuple[str, ...]:
    """What one has to know to believe the numbers."""
    settings = found.settings
    rows = count(found.n, "questions") + ("" if found.n == found.available else f" of {found.available:,}")
    return (
        f"{rows} from {visible(settings.questions)}; {count(found.indexed, 'passages')} of {count(len(found.documents), 'documents')}.",
        f"Found by BM25 (bm25s), up to {count(settings.passages, 'passages')} and {settings.passage_tokens:,} tokens for a "
        f"question. {settings.policy}",
        hits(found),
        f"Greedy answers of up to {settings.max_new_tokens:,} tokens, in batches. Time: {count(settings.timed, 'questions')} asked "
        f"one by one on {settings.device}, search and reading included; tuning took {duration(found.training_seconds)} once.",
        f"In brackets: {settings.confidence:.0%} intervals, percentile bootstrap over questions with {settings.resamples:,} "
        "resamples, paired for differences.",
        *(f"{measure.label}: {measure.definition}." for measure in found.measures),
    )


def hits(found: Comparison) -> str:
    if not found.findable:
        return (
            "No passage holds a reference word for word, so whether the right one was found cannot be told."
        )
    return (
        f"Of {count(found.findable, 'questions')} whose reference stands word for word in a passage, such a passage was shown "
        f"for {found.hits:,} ({found.hits / found.findable:.0%})."
    )


def cell(each: Cell | None) -> str:
    return "–" if each is None else in_brackets(each.tuned)


def base_row(lines: Sequence[Line]) -> tuple[str, ...]:
    """What the base scored on each measure, where it is the same base for all runs; else nothing."""
    bases = [{in_brackets(each.base) for each in line.cells.values()} for line in lines]
    return tuple(*zip(*bases, strict=True)) if all(len(each) == 1 for each in bases) else ()


def plain(value: object) -> str:
    """A setting's value as a person writes it."""
    if value is None or value == [] or value == {}:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={plain(each)}" for name, each in value.items() if each is not None) or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else visible(str(value))


def _scores(runs: Sequence[str], lines: Sequence[Line]) -> list[Table | Text]:
    """In as many tables as it takes, so that none is wider than the terminal and its figures stay in one piece."""
    console = console_of(WIDTH)
    table = _one_table(runs, lines)
    if (
        len(lines) < 2
        or console.measure(table, options=console.options.update(width=WIDEST)).maximum <= console.width
    ):
        return [table]
    half = (len(lines) + 1) // 2
    return [*_scores(runs, lines[:half]), Text(), *_scores(runs, lines[half:])]


def _one_table(runs: Sequence[str], lines: Sequence[Line]) -> Table:
    heads = ("", *map(measure_head, lines))
    rows = [
        (run, *(cell(each) + (" *" if each and each.best else "") for each in of))
        for run in runs
        if any(of := [line.cells.get(run) for line in lines])
    ]
    if of_base := base_row(lines):
        rows.append(("base", *of_base))
    return _table(heads, rows)


def _differing(compared: Compared) -> Table:
    rows = [
        (path, *(plain(values[run]) for run in compared.runs)) for path, values in compared.differing.items()
    ]
    return _table(("", *compared.runs), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _printed(parts: Sequence[Text | Table]) -> str:
    console = console_of(WIDTH)
    with console.capture() as captured:
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, Text) and not console.is_terminal)
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())
