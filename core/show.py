"""What the shell prints: a run while it goes on, tokens in colour, a conversation. Reads values, decides nothing."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import PurePath
from typing import Any
from unicodedata import category

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from core.data.report import place
from core.errors import RunError, SpecError
from core.runs.events import ENDED, Progress
from core.runs.jobs import stop
from core.runs.store import Follower, Run

STYLES = {"trained": "bold green", "context": "dim", "cut": "strike red"}
PLAIN = {"trained": "⟦{}⟧", "cut": "~~{}~~"}
WORDS = {
    "new": "not started",
    "queued": "waiting for its turn",
    "running": "at work",
    "paused": "paused",
    "finished": "finished",
    "stopped": "stopped",
    "failed": "failed",
    "lost": "lost",
}
SINGLE_TURN = (
    "The examples of this run have one question each, so each question is answered by itself; with --remember, after what was "
    "said before."
)
WAITS = 5.0  # seconds after which a run that has not begun is said to wait
PIPED = 1_000  # columns, where no terminal says how wide it is: nothing is cut
POLL = 0.3  # seconds between two looks at the events


def tokens_text(seen: dict[str, Any]) -> str:
    """Rows of tokens. Trained text is green and cut text struck out; where there is no colour, ⟦in brackets⟧ and ~~so~~."""
    console = Console(highlight=False)
    marks = PLAIN if console.no_color or not console.is_terminal else {}
    legend = ((marks.get(state, "{}").format(state) + " ", STYLES[state]) for state in STYLES)
    lines = [Text.assemble(*legend), Text()]
    for row in seen["tokens"]:
        where = {"train": "trained on", "held_out": "held out"}[row["split"]]
        lines.append(Text(f"{row['source']}, {where}", style="bold"))
        stretches = groupby(row["tokens"], key=lambda token: token["state"])
        texts = (
            (state, printable("".join(token["text"] for token in tokens))) for state, tokens in stretches
        )
        lines.append(
            Text.assemble(*((marks.get(state, "{}").format(text), STYLES[state]) for state, text in texts))
        )
        lines.append(Text())
    return _printed(console, lines)


def lengths_text(seen: dict[str, Any]) -> str:
    """What would be trained: counts, lengths, what is cut at which length, and whether the model will learn to stop."""
    console = Console(highlight=False)
    lines = [Text(f"{seen['examples']:,} examples to train on, {seen['held_out']:,} held out.")]
    if len(seen["shares"]) > 1:
        lines += [
            Text(f"  {share['name']}: {share['used']:,} in an epoch, {share['times']:.2f} times each")
            for share in seen["shares"]
        ]
    if leaked := seen["leaked"]["count"]:
        first = seen["leaked"]["first"][0]
        lines.append(
            Text(
                f"{leaked:,} held-out examples ask what is trained on, too; {place(first)}: {first['why']}",
                style="yellow",
            )
        )
    if seen["tokens_error"]:
        lines.append(Text(f"Tokens were not counted: {seen['tokens_error']}", style="yellow"))
    if lengths := seen["lengths"]:
        share = lengths["trained_tokens"] / max(lengths["tokens"], 1)
        quantiles = ", ".join(f"{name} {tokens:,}" for name, tokens in lengths["quantiles"].items())
        lines.append(
            Text(
                f"{lengths['tokens']:,} tokens of {lengths['base']} a pass, {share:.0%} of them trained; {quantiles}."
            )
        )
        lines += [
            Text(
                f"  at train.max_length {cost['max_length']:,}: {cost['cut_rows']:,} cut, {cost['cut_tokens']:,} tokens lost"
            )
            for cost in lengths["costs"][-4:]
        ]
        for severity, style in (("error", "red"), ("warning", "yellow")):
            for code, times in seen["encoding_counts"][severity].items():
                first = next(each for each in seen["encoding_problems"] if each["code"] == code)
                words = f"{times:,} examples, the first {place(first)}: {first['why']} {first['fix']}"
                lines.append(Text(f"{words} [{code}]", style=style))
        lines += [Text(f"{'✓' if check['ok'] else '✗'} {check['text']}") for check in seen["stops"]]
    return _printed(console, lines)


def _printed(console: Console, lines: Sequence[Text]) -> str:
    with console.capture() as captured:
        console.print(Group(*lines), soft_wrap=True)
    return captured.get().rstrip()


@contextmanager
def counting(what: str, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, and the function that moves it: done, of how many."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
    )
    with Bar(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task(what, total=1)
        yield lambda done, wanted: bar.update(task, completed=done, total=wanted)


def printable(text: str) -> str:
    """Control characters shown as what they are, so that data cannot command the terminal."""
    return "".join(
        c if c.isprintable() or c == "\n" or category(c) == "Zs" else f"\\x{ord(c):02x}" for c in text
    )


def runs_table(rows: Iterable[tuple[Run, Progress]]) -> str:
    """On a terminal, long names are cut to its width; piped, they are whole, a line for each run."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "state", "base model", "method", "preset"):
        table.add_column(column, no_wrap=column not in ("name", "base model"))  # those give way
    for column in ("steps", "loss", "held out"):
        table.add_column(column, no_wrap=True, justify="right")
    for run, progress in rows:
        made = made_of(run)
        state = "discarded" if progress.discarded and progress.state == "stopped" else WORDS[progress.state]
        if progress.act != "train":
            state = f"{progress.act}: {state}"
        table.add_row(
            Text(run.name, no_wrap=True, overflow="ellipsis"),
            state,
            Text(printable(PurePath(made["base_model"] or "").name), no_wrap=True, overflow="ellipsis"),
            made["method"] or "",
            Text(printable(made["preset"] or "")),
            f"{progress.step}/{progress.total_steps}",
            f"{progress.steps[-1].loss:.3f}" if progress.steps else "",
            f"{progress.held_out[-1].loss:.3f}" if progress.held_out else "",
        )
    if not table.rows:
        return "No runs yet. Begin with: atelier train sample:fables-en"
    console = console_of(PIPED)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def console_of(piped: int) -> Console:
    """One as wide as the terminal, or of so many columns where there is none, so that a program reads whole lines."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=piped)


def made_of(run: Run) -> dict[str, str | None]:
    """Base model, method and preset of a run; None for what is not known, as where its settings are those of another
    version."""
    try:
        spec = run.spec
    except SpecError:
        return {"base_model": None, "method": None, "preset": run.preset or None}
    return {"base_model": spec.model.base, "method": spec.method.kind, "preset": run.preset or None}


def queue_table(busy: Sequence[tuple[Run, Progress]], waiting: Sequence[Run]) -> str:
    """Who is at work, and who is next."""
    if not busy and not waiting:
        return "Nothing is at work, and nothing waits."
    table = Table(box=None, pad_edge=False)
    for column in ("", "name", "state"):
        table.add_column(column, no_wrap=True, overflow="ignore")
    for run, progress in busy:
        steps = f", step {progress.step} of {progress.total_steps}" if progress.total_steps else ""
        table.add_row(
            device_name(progress.device), run.name, f"{progress.act}: {WORDS[progress.state]}{steps}"
        )
    for number, run in enumerate(waiting, start=1):
        table.add_row(str(number), run.name, WORDS["queued"])
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip()


def device_name(device: str) -> str:
    """`cpu`, `GPU 0`, `GPU 0, 1`."""
    return device if device == "cpu" else f"GPU {device.replace(',', ', ')}"


def queue_as_dict(busy: Sequence[tuple[Run, Progress]], waiting: Sequence[Run]) -> dict[str, Any]:
    """The line for programs: plain values, stable names."""
    return {
        "running": [
            {
                "run": run.name,
                "act": progress.act,
                "state": progress.state,
                "device": progress.device,
                "step": progress.step,
                "total_steps": progress.total_steps,
            }
            for run, progress in busy
        ],
        "waiting": [run.name for run in waiting],
    }


def run_as_dict(run: Run, progress: Progress) -> dict[str, Any]:
    """A run for programs: plain values, stable names."""
    latest = progress.steps[-1] if progress.steps else None
    return {
        "run": run.name,
        "folder": str(run.folder),
        **made_of(run),
        "act": progress.act,
        "state": progress.state,
        "message": progress.message,
        "trained": progress.trained,
        "step": progress.step,
        "total_steps": progress.total_steps,
        "loss": latest.loss if latest else None,
        "held_out_loss": progress.held_out[-1].loss if progress.held_out else None,
        "eta_seconds": latest.eta_seconds if latest and progress.state == "running" else None,
        "published": [each.url for each in progress.published],
    }


def follow_run(
    run: Run, quiet: bool = False, leave: bool = False, before: Progress | None = None
) -> Progress:
    """Show a run until it ends, and return how; of what came `before`, nothing is said again.

    Ctrl-C asks the run to stop, a second one only leaves; with `leave`, the first does.
    """
    view = _View(run, quiet, before or Progress())
    follower = Follower(run)
    with view:
        progress = follower.progress()
        while True:
            try:
                progress = follower.progress()
                view.update(progress)
                if progress.state in ENDED:
                    return progress
                time.sleep(POLL)
            except KeyboardInterrupt:
                if leave:
                    return progress
                with suppress(RunError):  # it ended by itself at this moment
                    stop(run)
                how = "after this step; a checkpoint is saved" if progress.steps else "before the first step"
                view.say(f"Stopping {how}. Ctrl-C again leaves it to itself.")
                leave = True


class _View:
    """A live bar on a terminal; elsewhere a line for each thing that happened."""

    def __init__(self, run: Run, quiet: bool, before: Progress) -> None:
        self.run = run
        self.quiet = quiet
        self.console = Console(highlight=False, quiet=quiet)
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(30),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
        )
        self.task = self.bar.add_task("", total=None, figures="")
        self.live = Live(self.bar, console=self.console, refresh_per_second=5, transient=True)
        self.said = {
            name: len(getattr(before, name)) for name in ("notes", "held_out", "samples", "published")
        }
        self.stage = ""
        self.began, self.told = time.monotonic(), False  # that it waits for its turn

    def __enter__(self) -> "_View":
        if self.console.is_terminal and not self.quiet:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(printable(text), style=style), soft_wrap=True)

    def update(self, progress: Progress) -> None:
        for note in self._new("notes", progress.notes):
            self.say(("! " if note.warning else "· ") + note.text, "yellow" if note.warning else "dim")
        for point in self._new("held_out", progress.held_out):
            loss = next((each.loss for each in reversed(progress.steps) if each.step <= point.step), None)
            trained = f"loss {loss:.3f}, " if loss is not None else ""
            self.say(f"step {point.step:>5}/{progress.total_steps or '?'}  {trained}held-out loss {point.loss:.3f}, "
                     f"token accuracy {point.token_accuracy:.1%}")  # fmt: skip
        for sample in self._new("samples", progress.samples):
            self.say(f"step {sample.step:>5}  {sample.question}", "dim")
            self.say(f"            {sample.answer.strip()}{'' if sample.ended == 'turn' else ' …'}")
        for publication in self._new("published", progress.published):
            self.say(f"Published: {publication.url}", "bold green")
        self._draw(progress)
        if progress.state in ENDED:
            self._end(progress)

    def _new(self, name: str, items: Sequence[Any]) -> Sequence[Any]:
        """Items not said yet. A resume takes back some of the earlier ones."""
        start, self.said[name] = self.said[name], len(items)
        return items[start:]

    def _draw(self, progress: Progress) -> None:
        stage = progress.stage
        if stage and stage.stage != self.stage and not self.console.is_terminal:
            self.say(stage.stage)
        self.stage = stage.stage if stage else ""
        if stage:
            self.bar.update(self.task, description=stage.stage, total=stage.total or None, completed=stage.done,
                            figures=f"{stage.done}/{stage.total}" if stage.total else "")  # fmt: skip
        elif progress.state == "queued":
            waits = time.monotonic() - self.began > WAITS
            if waits and not self.told and not self.console.is_terminal:
                self.told = True
                self.say("Waiting for its turn; `atelier queue` says what is before it.")
            self.bar.update(self.task, description="Waiting for its turn", total=None, figures="")
        elif progress.state == "paused":
            figures = f"{progress.step}/{progress.total_steps}  go on with: atelier continue {self.run.name}"
            self.bar.update(
                self.task,
                description="Paused",
                total=progress.total_steps,
                completed=progress.step,
                figures=figures,
            )
        elif progress.steps:
            latest = progress.steps[-1]
            figures = (
                f"{latest.step}/{progress.total_steps}  loss {latest.loss:.3f}  {latest.tokens_per_second:,.0f} tokens/s  "
                f"{duration(latest.eta_seconds)} left"
            )
            self.bar.update(
                self.task,
                description="Training",
                total=progress.total_steps,
                completed=latest.step,
                figures=figures,
            )

    def _end(self, progress: Progress) -> None:
        self.live.stop()
        match progress.state:
            case "failed" | "lost":
                self.say(f"{progress.act} {progress.state}: {progress.message}", "bold red")
            case "stopped":
                self.say(_stopped(self.run, progress))
            case "finished":
                self.say(f"{progress.act} finished: {self.run.folder}")


def _stopped(run: Run, progress: Progress) -> str:
    if progress.discarded:
        return f"{progress.act} stopped and discarded. Begin again with: atelier resume {run.name}"
    how = "was ended by force" if progress.forced else "stopped"
    on = f" Go on with: atelier resume {run.name}" if progress.resumable else ""
    if not progress.step:
        return f"{progress.act} {how} before its first step.{on}"
    saved = f" Step {progress.saved_step} is saved." if on and progress.saved_step else ""
    return f"{progress.act} {how} at step {progress.step}.{saved}{on}"


def next_steps(run: Run) -> str:
    """For the end of a training: its verdict in one line, if it was scored, one on what was forgotten, if something was,
    and the commands that go on from there."""
    from core.evaluate.report import read
    from core.evaluate.reports.words import forgetting, summary

    report = read(run)
    to = "" if run.spec.publish.to else f" --to owner/{run.name}"
    following = f"Next: atelier chat {run.name}    atelier push {run.name}{to}"
    if report is None:
        return following
    said = (printable(summary(report).headline), forgetting(report).advice, following)
    return "\n".join(filter(None, said))


def duration(seconds: float) -> str:
    """`42 s`, `3 min`, `2 h 05`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f}"


def converse(
    run: Run,
    question: str | None,
    sides: tuple[str, ...],
    json: bool,
    remember: bool | None = None,
    **sampling: Any,
) -> None:
    """One question answered by each side, or a conversation until an empty line or Ctrl-D; `remember` as `atelier chat`."""
    from core.talk import Talk
    from core.talk.learnt import is_single_turn

    talk = Talk(run)
    try:
        talk.ready(timeout=300)
        if question is not None:
            _answer(talk, [{"role": "user", "content": question}], sides, json, sampling)
            return
        print("An empty line ends the conversation.", file=sys.stderr)
        if remember is None and is_single_turn(run):
            print(SINGLE_TURN, file=sys.stderr)
            remember = False
        histories: dict[str, list[dict[str, str]]] = {side: [] for side in sides}
        while asked := _ask():
            for side in sides:
                histories[side].append({"role": "user", "content": asked})
                answers = _answer(talk, histories[side], (side,), json, sampling)
                histories[side].append({"role": "assistant", "content": answers[side]["answer"]})
                if remember is False:
                    histories[side].clear()
    finally:
        talk.close()


def _ask() -> str:
    try:
        return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        return ""


def _answer(
    talk: Any, messages: list, sides: tuple[str, ...], as_json: bool, sampling: dict[str, Any]
) -> dict[str, Any]:
    answers = {}
    for side in sides:
        if not as_json and len(sides) > 1:
            print(f"{side}: ", end="", flush=True)
        pieces = []
        for piece in talk.reply(messages, side=side, **sampling):
            pieces.append(piece.text)
            if not as_json:
                print(printable(piece.text), end="", flush=True)
        ended = piece.ended
        answers[side] = {"answer": "".join(pieces), "ended": ended, "tokens": piece.tokens}
        if not as_json:
            print("" if ended == "turn" else f" [ended by {ended}]")
    if as_json:
        print(json.dumps({"question": messages[-1]["content"], **answers}, ensure_ascii=False))
    return answers
