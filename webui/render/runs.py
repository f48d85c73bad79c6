"""Runs in words: the list, where one stands, what it noted and printed, and what can be done with it now."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from urllib.parse import quote

from core.remote import record
from core.runs import BUSY, ENDED, Run
from core.runs.events import Noted, Progress, Sampled
from core.runs.queue import ON_ACCELERATOR
from webui.render.parts import count, duration, hint, section, table, text

STATES = {
    "new": "not started",
    "queued": "queued",
    "running": "running",
    "paused": "paused",
    "finished": "finished",
    "stopped": "stopped",
    "failed": "failed",
    "lost": "lost",
}
DOING = {
    "train": "Training",
    "evaluate": "Scoring",
    "merge": "Merging",
    "push": "Publishing",
    "compare": "Comparing",
}
DONE = {
    "train": "The training is done",
    "evaluate": "The scores are ready",
    "merge": "The merged model is written",
    "push": "Published",
    "compare": "The comparison is ready",
}
CONSOLE_BYTES = 16_000
CONSOLE_LINES = 80


def runs_table(rows: Iterable[tuple[Run, Progress]], chosen: str | None) -> str:
    """Every run, newest first; the names are links, so that a run can be opened in a tab of its own."""
    lines = [
        (
            f'<a href="./runs?run={quote(run.name)}" data-run="{text(run.name)}"'
            f"{' aria-current=true' if run.name == chosen else ''}>{text(run.name)}</a>",
            badge(progress),
            f"{progress.step:,} of {progress.total_steps:,}" if progress.total_steps else "",
            f"{progress.steps[-1].loss:.3f}" if progress.steps else "",
            f"{progress.held_out[-1].loss:.3f}" if progress.held_out else "",
            started(run),
        )
        for run, progress in rows
    ]
    if not lines:
        return hint(
            "There are no runs yet. Choose examples on the Data page, then start one on the Train page."
        )
    return table(("Run", "State", "#Step", "#Loss", "#Held-out loss", "Created"), lines, "runs")


def line(waiting: Sequence[Run]) -> str:
    """The runs that wait for their turn, the next one first, each with what can be done about its place."""
    if not waiting:
        return ""
    last = len(waiting) - 1
    items = "".join(
        f'<li><a href="./runs?run={quote(run.name)}" data-run="{text(run.name)}">{text(run.name)}</a><span>'
        f"{_act(run, 'earlier', '↑', f'Move {run.name} up', place == 0)}"
        f"{_act(run, 'later', '↓', f'Move {run.name} down', place == last)}"
        f"{_act(run, 'cancel', 'Cancel', f'Cancel {run.name}')}</span></li>"
        for place, run in enumerate(waiting)
    )
    return section("Waiting for their turn", "the next one first") + f'<ol class="line">{items}</ol>'


def _act(run: Run, act: str, sign: str, words: str, off: bool = False) -> str:
    return (
        f'<button type="button" data-run="{text(run.name)}" data-act="{act}" aria-label="{text(words)}" '
        f'title="{text(words)}"{" disabled" if off else ""}>{sign}</button>'
    )


def started(run: Run) -> str:
    """When the run was made: its settings are written then and never again."""
    at = datetime.fromtimestamp((run.folder / "spec.yaml").stat().st_mtime)
    return f"{at.day} {at:%b, %H:%M}"


def badge(progress: Progress) -> str:
    """The state as a coloured word; of a trained run that was then worked on, with what was done."""
    act = "" if progress.act == "train" else f"{DOING[progress.act].lower()} "
    return f'<span class="badge {progress.state}">{act}{STATES[progress.state]}</span>'


def status(progress: Progress, asked: Collection[str] = ()) -> str:
    """Where the run stands, and what is `asked` of it, in one or two sentences."""
    doing = DOING[progress.act]
    match progress.state:
        case "new":
            return "Not started yet."
        case "queued" if "stop" in asked:
            return "Asked to stop before it began."
        case "queued" if progress.act == "train" and progress.remote:
            return "Training is asked for; it goes on on HF Jobs."
        case "queued" if progress.act in ON_ACCELERATOR:
            return f"{doing} is asked for; it begins as soon as no other run holds the processor."
        case "queued":
            return f"{doing} is about to begin."
        case "running" | "paused" if {"stop", "discard"} <= set(asked):
            return "Stopping: nothing is saved, and what the training made is removed."
        case "running" if "now" in asked:
            return "Ending: the job is canceled, and what came after its last checkpoint is lost."
        case "running" | "paused" if "stop" in asked and progress.act == "train" and not progress.trained:
            return "Stopping: the step under way is finished and a checkpoint saved."
        case "running" | "paused" if "stop" in asked:
            return "Stopping."
        case "paused" if "pause" in asked:
            return f"Paused after step {progress.step:,} of {progress.total_steps:,}; it keeps its memory and its turn."
        case "paused":
            return f"Going on after step {progress.step:,} of {progress.total_steps:,}."
        case "running" if "pause" in asked:
            return "Pausing: the step under way is finished first."
        case "running" if progress.stage:
            stage = progress.stage
            return f"{stage.stage}, {stage.done:,} of {stage.total:,}." if stage.total else f"{stage.stage}."
        case "running" if progress.act == "train" and progress.steps:
            return f"Training: step {progress.step:,} of {progress.total_steps:,}, {_left(progress)}."
        case "running":
            return f"{doing} has begun."
        case "finished":
            return f"{DONE[progress.act]}{_outcome(progress)}."
        case "stopped" if progress.discarded:
            return "Stopped and discarded: its settings and curves are kept. Resume begins again."
        case "stopped" if progress.forced and progress.resumable:
            saved = (
                f"from step {progress.saved_step:,}, which is saved"
                if progress.saved_step
                else "from the beginning"
            )
            return (
                f"It did not stop by itself and was ended at step {progress.step:,}. Resume goes on {saved}."
            )
        case "stopped" if progress.resumable and not progress.saved_step:
            return "Stopped before anything was saved. Resume begins again."
        case "stopped" if progress.resumable:
            return f"Stopped at step {progress.step:,}, saved. Resume goes on from there."
        case "stopped":
            return f"{doing} was stopped."
        case _:
            return progress.message


def status_block(run: Run, progress: Progress) -> str:
    """State, sentence and bar; always of the same height, so nothing below it moves."""
    asked = run.requests() if progress.state in BUSY else ()
    return (
        f'<div class="status"><div class="status-head"><h2>{text(run.name)}</h2>{badge(progress)}</div>'
        f"<p>{text(status(progress, asked))}{machine(progress)}</p>{bar(progress)}</div>"
    )


def machine(progress: Progress) -> str:
    """Which machine of HF Jobs it is, where its job stands and what the run has cost; nothing for one that is trained here."""
    told = progress.remote
    if not told:
        return ""
    lasted = f", {duration(told.seconds)}" if told.seconds else ""
    return (
        f" <small>{_link(told.url, told.flavor)}: {text(told.stage.lower())}{lasted}, "
        f"${told.usd:.2f} so far at ${told.usd_per_hour:.2f} an hour</small>"
    )


def another_machine(run: Run) -> str:
    """What resuming costs, where that asks HF Jobs for another machine; nothing where its job is only joined."""
    sent = record.read(run)
    if run.spec.compute.where == "here" or not sent or not sent.settled:
        return ""
    most = sent.usd_per_hour * sent.timeout_seconds / 3600
    return hint(
        f"This asks HF Jobs for another {sent.flavor}, which costs ${sent.usd_per_hour:.2f} an hour, and about ${most:.2f} if it "
        "runs until its timeout. Press Resume again to agree."
    )


def bar(progress: Progress) -> str:
    """Of the steps while it trains, of the stage where that has a length; a moving band where nobody knows."""
    done, total = (progress.step, progress.total_steps) if progress.act == "train" else (0, 0)
    if progress.state == "running" and progress.stage:
        done, total = progress.stage.done, progress.stage.total
    if progress.state == "running" and not total:
        return '<div class="bar unknown" role="progressbar" aria-label="working"><i></i></div>'
    share = 100 * done / total if total else 100 * (progress.state in ENDED)
    return (
        f'<div class="bar {progress.state}" role="progressbar" aria-label="done" aria-valuenow="{share:.0f}" '
        f'aria-valuemin="0" aria-valuemax="100"><i style="width:{share:.2f}%"></i></div>'
    )


def notes(progress: Progress) -> str:
    """What the job chose and why, and what it warns of."""
    return section("What it chose, and why") + _list(progress.notes) if progress.notes else ""


def samples(progress: Progress) -> str:
    """What the model answered to each question while it learned, step by step."""
    if not progress.samples:
        return ""
    by_question: dict[str, list[Sampled]] = {}
    for each in progress.samples:
        by_question.setdefault(each.question, []).append(each)
    drawn = "".join(
        f'<h3 class="question">{text(question)}</h3>'
        + table(("#Step", "Answer"), ((f"{each.step:,}", _answer(each)) for each in answers), "samples")
        for question, answers in by_question.items()
    )
    return section("What it answers", "the likeliest words, at each measurement") + drawn


def _answer(sample: Sampled) -> str:
    cut = "" if sample.ended == "turn" else ' <small title="evaluate.max_new_tokens">… cut off</small>'
    return f"<p>{text(sample.answer.strip()) or '<small>nothing</small>'}{cut}</p>"


def notes_of_act(progress: Progress) -> str:
    """What the latest act noted, and none before it."""
    return _list([note for note in progress.notes if note.at >= progress.asked_at])


def published(progress: Progress) -> str:
    """Where the run lies on the Hub, newest last. Only https links become links."""
    lines = "".join(
        f"<li>{_link(each.url, each.repo_id)} <code>{text(each.commit[:8])}</code></li>"
        for each in progress.published
    )
    if not lines:
        return ""
    before = progress.act == "push" and progress.published[-1].at < progress.asked_at
    return (section("Published before") if before else "") + f'<ul class="published">{lines}</ul>'


def console(run: Run) -> str:
    """The end of what the job printed; a progress bar's many states are shown as its last."""
    if not run.console.is_file():
        return hint("Nothing printed yet.")
    with run.console.open("rb") as file:
        file.seek(max(0, run.console.stat().st_size - CONSOLE_BYTES))
        printed = file.read().decode("utf-8", "replace")
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in printed.split("\n")][-CONSOLE_LINES:]
    return f'<div class="console" tabindex="0"><pre>{text(chr(10).join(lines).strip()) or "Nothing printed yet."}</pre></div>'


def ways_on(run: Run, progress: Progress) -> str:
    """Links to what can be done with a trained run."""
    if not progress.trained:
        return ""
    links = "".join(
        f'<a class="way" href="./{path}?run={quote(run.name)}">{name}</a>'
        for path, name in (("evaluate", "See the scores"), ("chat", "Talk to it"), ("publish", "Publish it"))
    )
    return f'<nav class="ways" aria-label="What to do with this run">{links}</nav>'


def can_stop(run: Run, progress: Progress) -> bool:
    return progress.state in ("running", "paused") and not run.stop_requested()


def can_discard(run: Run, progress: Progress) -> bool:
    return can_stop(run, progress) and progress.act == "train" and not progress.trained


def can_pause(run: Run, progress: Progress) -> bool:
    """Once it has begun to train."""
    begun = can_discard(run, progress) and bool(progress.total_steps) and not run.pause_requested()
    return begun and not progress.remote  # a machine of HF Jobs is paid for while it waits, too


def can_go_on(run: Run, progress: Progress) -> bool:
    return can_discard(run, progress) and run.pause_requested()


def can_end(run: Run, progress: Progress) -> bool:
    """One that was asked to stop and has not done so yet."""
    return progress.state in ("running", "paused") and run.stop_requested()


def can_publish_again(progress: Progress) -> bool:
    """After a push that did not come to its end; nothing is trained again, and what has arrived is not sent again."""
    return progress.act == "push" and progress.state in ("failed", "lost", "stopped")


def can_delete(progress: Progress) -> bool:
    return progress.state not in BUSY


def _list(notes: Sequence[Noted]) -> str:
    lines = "".join(
        f'<li class="{"warning" if note.warning else ""}">{text(note.text)}</li>' for note in notes
    )
    return f'<ul class="notes">{lines}</ul>' if lines else ""


def _left(progress: Progress) -> str:
    seconds = progress.steps[-1].eta_seconds
    return f"about {duration(seconds)} left" if seconds >= 1 else "nearly done"


def _outcome(progress: Progress) -> str:
    if progress.act == "push" and progress.published:
        return f": {progress.published[-1].url}"
    if progress.act != "train" or not progress.steps:
        return ""
    return f": {count(progress.step, 'step')}{_held_out(progress.held_out)}"


def _held_out(held_out: Sequence) -> str:
    if len(held_out) < 2:
        return ""
    first, best = held_out[0], min(held_out, key=lambda each: each.loss)
    return f". Held-out loss was {first.loss:.2f} at step {first.step:,} and {best.loss:.2f} at its best, step {best.step:,}"


def _link(url: str, words: str) -> str:
    if not url.startswith(("https://", "http://")):
        return text(words)
    return f'<a href="{text(url)}" target="_blank" rel="noreferrer">{text(words)}</a>'
