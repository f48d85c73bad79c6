"""What a report says, in words and figures: the same on a terminal, in Markdown, on paper and in the web UI."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Literal

from core.evaluate import tasks as catalogue
from core.evaluate.report import (
    Answer,
    Interval,
    Report,
    Row,
    Score,
    TaskReport,
    Verdict,
    main,
    outcome,
    unread,
)

FORGETTING = ("general", "general-choices")  # tasks about what the training was not
OUTCOMES = {"win": "wins", "loss": "losses", "tie": "ties"}
FEW_ROWS = 30  # the interval of so few is wide, so that a real loss may well hold zero
DRAWN = 2  # scores of a task that are drawn; of the others, the figures are enough
NO_TASKS = "Nothing was scored."
# What it means that something was forgotten, and what can be done.
FORGOTTEN = (
    "That was seen on a small set of general texts and questions. A model that only has to answer questions like yours can "
    "do without; where it matters, add a file of general rows (data.weights says how much of it), train fewer epochs, or train LoRA."
)
ONE_SIDE = "One model alone was scored, so nothing is said of better or worse."


@dataclass(frozen=True)
class Summary:
    """Whether training helped, in a few words, and a sentence for each task that says by how much."""

    verdict: Verdict | Literal["mixed"] | None
    headline: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Forgetting:
    """What became of what the base could do, and by how much; without a verdict, what would tell."""

    verdict: Verdict | None
    headline: str
    sentences: tuple[str, ...]
    others: tuple[str, ...] = ()  # on the tasks of which this cannot be said
    advice: str = ""  # what it means and what can be done, where something was forgotten

    @property
    def sentence(self) -> str:
        return " ".join(self.sentences)

    @property
    def beside(self) -> str:
        return " ".join(self.others)


@dataclass(frozen=True)
class Said:
    """One model's answers to a task, as far as their length goes."""

    answers: int
    tokens: tuple[int, ...]
    cut_off: int


def summary(report: Report) -> Summary:
    """Judged by the main score of every task; the one about forgetting can only spoil what the others say."""
    judged = [task for task in report.tasks if task.name not in FORGETTING and main(task)]
    verdict, headline = _judge({task.label: main(task).verdict for task in judged if main(task).verdict})
    if headline is None:
        headline = _unjudged(report)
    if forgetting(report).verdict == "hurt" and verdict != "hurt":
        verdict, headline = "mixed", f"{headline.removesuffix('.')}, but something was forgotten."
    return Summary(verdict, headline, tuple(map(sentence, judged)))


def sentence(task: TaskReport) -> str:
    """The main score of a task, how it moved, and how sure that is."""
    score = main(task)
    if score is None:
        return f"{task.label}: no row could be scored."
    if score.difference is None:
        alone = score.tuned or score.base
        return f"{task.label}: {score.label} is {in_brackets(alone)}, on {count(score.n, score.of)}."
    base, tuned, by = figures(score.base)[0], figures(score.tuned)[0], score.difference
    if by.differ == 0:
        return f"{task.label}: {score.label} stayed at {tuned}: of {count(score.n, score.of)} none differs."
    value, low, high = figures(by, "+")
    sure = f"{value}, and with {task.settings.confidence:.0%} confidence between {low} and {high}; {count(score.n, score.of)}"
    if base == tuned:
        return f"{task.label}: {score.label} stayed at {tuned} ({sure}){_doubt(score)}."
    if by.value > 0:
        return f"{task.label}: {score.label} rose from {base} to {tuned} ({sure}){_doubt(score)}."
    return f"{task.label}: {score.label} fell from {base} to {tuned} ({sure}){_doubt(score)}."


def forgetting(report: Report) -> Forgetting:
    """Said only where both models were scored on a task that tells; one that got worse is enough."""
    told = [task for task in map(report.task, FORGETTING) if task and main(task) and main(task).verdict]
    verdicts = {main(task).verdict for task in told}
    if not told:
        how = "It takes both models." if len(report.sides) == 1 else f"The task {FORGETTING[0]} measures it."
        return Forgetting(None, "Forgetting was not measured.", (how,))
    verdict = next(each for each in ("hurt", "helped", "no clear change") if each in verdicts)
    fewest = min((main(task) for task in told), key=lambda score: score.n)
    hidden = f", but {count(fewest.n, fewest.of)} can hide a loss" if fewest.n < FEW_ROWS else ""
    words = {
        "hurt": "It forgot: on what it was not trained for, the tuned model is worse than its base.",
        "helped": "Nothing was forgotten: on what it was not trained for, the tuned model is even better than its base.",
        "no clear change": f"No clear forgetting on what it was not trained for{hidden}.",
    }
    so, beside = (
        tuple(sentence(task) for task in told if (main(task).verdict == verdict) is wanted)
        for wanted in (True, False)
    )
    return Forgetting(verdict, words[verdict], so, beside, FORGOTTEN if verdict == "hurt" else "")


def name_of(report: Report, side: Literal["base", "tuned"]) -> str:
    """What a side is called: a merged model that was scored alone stands where the tuned one does."""
    return "Base" if side == "base" else "Merged" if "merged" in report.sides else "Tuned"


def sides(report: Report) -> tuple[Literal["base", "tuned"], ...]:
    """Which of the two places are filled."""
    return tuple(
        side
        for side, names in (("base", {"base"}), ("tuned", {"tuned", "merged"}))
        if names & set(report.sides)
    )


def tally(task: TaskReport) -> dict[str, int]:
    """Wins, losses and ties of the tuned model, and rows with an answer in which nothing was found."""
    found = Counter(outcome(row, task) for row in task.rows)
    return {name: found[name] for name in OUTCOMES} | {
        "unread": sum(bool(unread(row, task)) for row in task.rows)
    }


def kinds(row: Row, task: TaskReport) -> tuple[str, ...]:
    """What a row is looked for by: win, loss or tie, and unread."""
    return (*filter(None, [outcome(row, task)]), *(["unread"] if unread(row, task) else []))


def said(task: TaskReport, side: Literal["base", "tuned"]) -> Said | None:
    """How long the answers of a side are; None if it wrote none."""
    answers = [answer for row in task.rows if (answer := getattr(row, side)) is not None]
    if not answers or task.kind == "choice":  # which is made, not written
        return None
    cut_off = sum(answer.ended == "length" for answer in answers)
    return Said(len(answers), tuple(answer.tokens for answer in answers), cut_off)


def by_row(task: TaskReport) -> str:
    """Who won how many rows, and in whose answers nothing was found, as sentences; empty if there is nothing to say."""
    found, words = tally(task), []
    if total := sum(found[name] for name in OUTCOMES):
        rows = f"{count(total, 'rows')} listed" if total < task.n else count(total, "rows")
        words.append(
            f"Of {rows} the tuned model does better than its base on {found['win']:,} and worse on {found['loss']:,}; "
            f"{found['tie']:,} are ties."
        )
    if task.settings.finds and task.rows:
        missed = Counter(side for row in task.rows for side in unread(row, task))
        asked = [side for side in ("base", "tuned") if any(getattr(row, side) for row in task.rows)]
        words.append(
            f"Answers in which {task.settings.finds} was looked for and not found: {', '.join(f'{side} {missed[side]:,}' for side in asked)}."
        )
    return " ".join(words)


def mark(value: float) -> str:
    """One row's mark: right and wrong are 1 and 0, not 1.00 and 0.000."""
    return f"{value:g}" if value in (0, 1) else number(value)


def notes(
    row: Row, task: TaskReport, side: str, write: Callable[[str], str], say: Callable[[str], str] = str
) -> list[str]:
    """What stands below what one model said, as HTML: its marks, and before them what was read out of an answer that it
    wrote. `write` makes HTML of words, and `say` puts ours into the reader's language."""
    answer = getattr(row, side)
    labels = {score.name: score.label for score in task.scores}
    found = [
        f"{write(say(labels.get(name, name)))} {say(mark(value))}"
        for name, both in row.marks.items()
        if (value := getattr(both, side)) is not None
    ]
    if answer is None or task.kind == "choice":  # nothing was written, so nothing was read out of it
        return found
    if answer.found is not None:
        found.insert(0, f'{write(say("read as"))} <b translate="no">{write(answer.found)}</b>')
    elif side in unread(row, task):
        found.insert(0, f'<span class="missed">{write(say(f"{task.settings.finds} was not found"))}</span>')
    return found


def ended(answer: Answer) -> str:
    how = {"turn": "ended its turn", "length": "cut off at the longest allowed"}
    return f"{count(answer.tokens, 'tokens')}, {how[answer.ended]}"


def how(task: TaskReport) -> Iterator[tuple[str, str]]:
    """What one has to know to compare the scores with others."""
    settings = task.settings
    rows = count(task.n, "rows")
    spread = ", evenly spread" if settings.max_samples is not None else ""
    yield "Rows", rows if task.n == task.available else f"{rows} of {task.available:,}{spread}"
    if settings.source:
        yield "Data", f"own copy: {PurePath(settings.source).name}"
    yield "Prompt", settings.prompt or "the example's own words, in the model's template"
    if task.kind != "likelihood":
        yield "Solved examples shown first", f"{settings.shots}"
    if task.kind == "generation":
        yield "Decoding", f"{settings.decoding}, at most {count(settings.max_new_tokens, 'tokens')}"
    yield "Grading", settings.grading
    score = main(task)
    paired = "" if score and score.difference is None else ", paired for the difference"
    yield (
        "Intervals",
        f"{settings.confidence:.0%}, percentile bootstrap over rows with {settings.resamples:,} resamples{paired}",
    )
    if task.seconds:
        written = f", {count(task.tokens, 'tokens')} written" if task.tokens else ""
        yield "Time", count(max(1, round(task.seconds)), "seconds") + written


def commands(report: Report) -> list[str]:
    """The lines that score the same again; tasks that were asked for in the same way share one. A file that is not
    below the current folder is named without its own, and said to be the user's."""
    asked: dict[tuple[str, ...], list[str]] = {}
    for task in report.tasks:
        named = asked.setdefault(tuple(_flags(task)), [])
        if (name := task.given or task.name) not in named:
            named.append(name)
    side = ["--side", report.sides[0]] if len(report.sides) == 1 else []
    return [
        _command(report.run, [w for name in names for w in ("--task", name)] + [*flags, *side])
        for flags, names in asked.items()
    ]


def _flags(task: TaskReport) -> Iterator[str]:
    settings = task.settings
    if settings.source:
        yield from ("--from", settings.source)
    for flag, value in (
        ("--max-samples", settings.max_samples),
        ("--num-samples", settings.num_samples),
        ("--max-new-tokens", settings.longest),
    ):
        if value is not None:
            yield from (flag, str(value))
    if settings.gen_only:
        yield "--gen-only"
    if settings.shots != _usual_shots(task):
        yield from ("--shots", str(settings.shots))


def _command(run: str, arguments: Sequence[str]) -> str:
    said, away = [], []
    for each in arguments:
        harness = catalogue.HARNESS if each.startswith(catalogue.HARNESS) else ""
        path = PurePath(each.removeprefix(harness))
        if path.is_relative_to(Path.cwd()):
            path = path.relative_to(Path.cwd())
        elif path.is_absolute():
            path = PurePath(path.name)
            away.append(path.name)
        said.append(f"{harness}{path}" if str(path) != "." else each)
    line = shlex.join(["atelier", "evaluate", run, *said])
    where = " and ".join(" ".join(name.split()) for name in dict.fromkeys(away))
    return f"{line}  # {where}: your own, name it with its folder" if where else line


def place(source: str) -> str:
    """Where a row is from, without the folders of this machine: reports are mailed. `hf:owner/name:3` stays."""
    return PurePath(source).name if PurePath(source).is_absolute() else source


def made(report: Report) -> str:
    """When, as every reader's clock can tell."""
    return f"{datetime.fromtimestamp(report.made_at, UTC):%Y-%m-%d %H:%M} UTC"


def in_brackets(interval: Interval | None, sign: str = "") -> str:
    """`80.1 [70.0, 91.2]`; a dash for what was not measured."""
    if interval is None:
        return "–"
    value, low, high = figures(interval, sign)
    return f"{value} [{low}, {high}]"


def figures(interval: Interval, sign: str = "") -> tuple[str, str, str]:
    """Value, low and high to the same place: about three figures of the largest that matter."""
    largest = max(abs(interval.value), abs(interval.low), abs(interval.high))
    return tuple(number(each, sign, largest) for each in (interval.value, interval.low, interval.high))


def number(value: float, sign: str = "", beside: float | None = None) -> str:
    """With a true minus: 475,000, 80.1, 2.35, 0.412. `beside` is the largest of those it is read together with."""
    size = abs(value) if beside is None else beside
    if size >= 1e7:
        return f"{value:{sign}.2e}".replace("-", "−")
    places = 0 if size >= 1000 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:{sign},.{places}f}".replace("-", "−")


def count(number: int, many: str) -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number:,} {many.removesuffix('s') if number == 1 else many}"


def _usual_shots(task: TaskReport) -> int | None:
    """How many solved examples are shown where nobody asks for another number; None if only the user's own file knows."""
    if task.given and task.given not in catalogue.names():
        return None if task.given.endswith(catalogue.YAML) else 0
    return catalogue.built_in(task.name).shots.count if task.name in catalogue.names() else None


def _doubt(score: Score) -> str:
    if score.verdict != "no clear change":
        return ""
    if score.difference.low <= 0 <= score.difference.high:
        return "; the interval holds zero, so this may be chance"
    differ = score.difference.differ
    return "; too few for a verdict" if differ is None else f"; {differ:,} differ, too few for a verdict"


def _judge(verdicts: dict[str, Verdict]) -> tuple[Verdict | Literal["mixed"] | None, str | None]:
    """What the verdicts on tasks, by their labels, come to."""
    if not verdicts:
        return None, None
    helped, hurt = (
        [name for name, each in verdicts.items() if each == wanted] for wanted in ("helped", "hurt")
    )
    if helped and hurt:
        return "mixed", f"Training helped on {_all(helped)}, and hurt on {_all(hurt)}."
    for verdict, names in (("hurt", hurt), ("helped", helped)):
        if names:
            where = "" if len(names) == len(verdicts) else f" on {_all(names)}"
            return verdict, f"Training {verdict}{where}."
    return "no clear change", "No clear change."


def _unjudged(report: Report) -> str:
    if not any(map(main, report.tasks)):
        return NO_TASKS
    return ONE_SIDE if len(report.sides) == 1 else "Only what might be forgotten was scored."


def _all(labels: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = labels
    return f"{', '.join(most)} and {last}" if most else last
