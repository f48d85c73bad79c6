"""Runs in words: the list, where one stands, what it noted and printed, and what can be done with it now."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from core.remote import record
from core.runs import BUSY, ENDED, Run
from core.runs.events import Noted, Progress, Sampled
from core.runs.queue import ON_ACCELERATOR
from webui import language
from webui.language import number, t
from webui.render.parts import address, as_written, count, duration, hint, said, section, table, text

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
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
CONSOLE_BYTES = 64_000
CONSOLE_LINES = 400
COLUMNS = (
    "Run",
    "State",
    "#Step",
    "#Loss",
    "#Held-out loss",
    "Created",
)  # a head that begins with # is of numbers
NONE_YET = "There are no runs yet. Choose examples on the Data page, then start one on the Train page."


def row(run: Run, progress: Progress) -> dict[str, Any]:
    """A line of the table of runs: its cells as HTML, what each is sorted by, and the words that a search looks through."""
    held_out = progress.held_out[-1].loss if progress.held_out else None
    loss = progress.steps[-1].loss if progress.steps else None
    first = run.note.partition("\n")[0]
    called = f'<a href="{address("runs", run.name)}" data-run="{text(run.name)}">{text(run.name)}</a>'
    done = t("{step} of {total}", step=number(progress.step), total=number(progress.total_steps))
    return {
        "cells": [
            called + (f'<small class="noted">{text(first)}</small>' if first else ""),
            badge(progress),
            done if progress.total_steps else "",
            "" if loss is None else number(loss, ".3f"),
            "" if held_out is None else number(held_out, ".3f"),
            started(run),
        ],
        "by": [run.name.lower(), state(progress), progress.step, loss, held_out, made_at(run)],
        "words": f"{run.name} {state(progress)} {run.note}".lower(),
    }


def line(waiting: Sequence[Run]) -> str:
    """The runs that wait for their turn, the next one first, each with what can be done about its place."""
    if not waiting:
        return ""
    last = len(waiting) - 1
    items = "".join(
        f'<li><a href="{address("runs", run.name)}" data-run="{text(run.name)}">{text(run.name)}</a><span>'
        + _act(run, "earlier", "↑", t("Move {name} up", name=run.name), place == 0)
        + _act(run, "later", "↓", t("Move {name} down", name=run.name), place == last)
        + _act(run, "cancel", t("Cancel"), t("Cancel {name}", name=run.name))
        + "</span></li>"
        for place, run in enumerate(waiting)
    )
    return section(t("Waiting for their turn"), t("the next one first")) + f'<ol class="line">{items}</ol>'


def _act(run: Run, act: str, sign: str, words: str, off: bool = False) -> str:
    return (
        f'<button type="button" data-run="{text(run.name)}" data-act="{act}" aria-label="{text(words)}" '
        f'title="{text(words)}"{" disabled" if off else ""}>{sign}</button>'
    )


def made_at(run: Run) -> float:
    """When the run was made: its settings are written then and never again."""
    return (run.folder / "spec.yaml").stat().st_mtime


def started(run: Run) -> str:
    at = datetime.fromtimestamp(made_at(run))
    return t("{day} {month}, {time}", day=at.day, month=t(MONTHS[at.month - 1]), time=f"{at:%H:%M}")


def state(progress: Progress) -> str:
    """In words; of a trained run that was then worked on, with what was done: `publishing: failed`."""
    word = t(STATES[progress.state])
    return word if progress.act == "train" else f"{t(DOING[progress.act]).lower()} {word}"


def badge(progress: Progress) -> str:
    """The state as a coloured word."""
    return f'<span class="badge {progress.state}">{text(state(progress))}</span>'


def status(progress: Progress, asked: Collection[str] = ()) -> str:
    """Where the run stands, and what is `asked` of it, in one or two sentences, as text."""
    doing, done = (
        t(DOING[progress.act]),
        {"step": number(progress.step), "total": number(progress.total_steps)},
    )
    match progress.state:
        case "new":
            return t("Not started yet.")
        case "queued" if "stop" in asked:
            return t("Asked to stop before it began.")
        case "queued" if progress.act == "train" and progress.remote:
            return t("Training is asked for; it goes on on HF Jobs.")
        case "queued" if progress.act in ON_ACCELERATOR:
            return t(
                "{doing} is asked for; it begins as soon as no other run holds the processor.", doing=doing
            )
        case "queued":
            return t("{doing} is about to begin.", doing=doing)
        case "running" | "paused" if {"stop", "discard"} <= set(asked):
            return t("Stopping: nothing is saved, and what the training made is removed.")
        case "running" if "now" in asked:
            return t("Ending: the job is canceled, and what came after its last checkpoint is lost.")
        case "running" | "paused" if "stop" in asked and progress.act == "train" and not progress.trained:
            return t("Stopping: the step under way is finished and a checkpoint saved.")
        case "running" | "paused" if "stop" in asked:
            return t("Stopping.")
        case "paused" if "pause" in asked:
            return t("Paused after step {step} of {total}; it keeps its memory and its turn.", **done)
        case "paused":
            return t("Going on after step {step} of {total}.", **done)
        case "running" if "pause" in asked:
            return t("Pausing: the step under way is finished first.")
        case "running" if progress.stage:
            return _staged(progress)
        case "running" if progress.act == "train" and progress.steps:
            return t("Training: step {step} of {total}, {left}.", **done, left=_left(progress))
        case "running":
            return t("{doing} has begun.", doing=doing)
        case "finished":
            return f"{t(DONE[progress.act])}{_outcome(progress)}."
        case "stopped":
            return _stopped(progress)
        case _:
            return language.said(progress.message)


def _staged(progress: Progress) -> str:
    stage = progress.stage
    name = language.said(stage.stage)
    if not stage.total:
        return f"{name}."
    return t("{stage}, {done} of {total}.", stage=name, done=number(stage.done), total=number(stage.total))


def _stopped(progress: Progress) -> str:
    step = number(progress.step)
    if progress.discarded:
        return t("Stopped and discarded: its settings and curves are kept. Resume begins again.")
    if not progress.resumable:
        return t("{doing} was stopped.", doing=t(DOING[progress.act]))
    if progress.forced and progress.saved_step:
        return t(
            "It did not stop by itself and was ended at step {step}. Resume goes on from step {saved}, which is saved.",
            step=step,
            saved=number(progress.saved_step),
        )
    if progress.forced:
        return t("It did not stop by itself and was ended at step {step}. Resume begins again.", step=step)
    if not progress.saved_step:
        return t("Stopped before anything was saved. Resume begins again.")
    return t("Stopped at step {step}, saved. Resume goes on from there.", step=step)


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
    cost = t(
        "${usd} so far at ${price} an hour",
        usd=number(told.usd, ".2f"),
        price=number(told.usd_per_hour, ".2f"),
    )
    stands = ", ".join(
        filter(None, (text(told.stage.lower()), duration(told.seconds) if told.seconds else "", cost))
    )
    return f" <small>{_link(told.url, told.flavor)}: {stands}</small>"


def another_machine(run: Run) -> str:
    """What resuming costs, where that asks HF Jobs for a machine; nothing where its job is only joined."""
    if not record.asks_for_a_machine(run):
        return ""
    sent = record.read(run)
    if sent is None or not sent.attempt:  # nobody has asked for a price yet
        return hint(
            t(
                "This asks HF Jobs for a machine ({flavor}), which is paid for. Press Resume again to agree.",
                flavor=run.spec.compute.flavor,
            )
        )
    most = sent.usd_per_hour * sent.timeout_seconds / 3600
    return hint(
        t(
            "This asks HF Jobs for another {flavor}, which costs ${price} an hour, and about ${most} if it runs until its timeout. "
            "Press Resume again to agree.",
            flavor=sent.flavor,
            price=number(sent.usd_per_hour, ".2f"),
            most=number(most, ".2f"),
        )
    )


def share(progress: Progress) -> float | None:
    """How much is done, from 0 to 1: of the steps while it trains, of the stage where that has a length; None while it works
    and nobody knows."""
    done, total = (progress.step, progress.total_steps) if progress.act == "train" else (0, 0)
    if progress.state == "running" and progress.stage:
        done, total = progress.stage.done, progress.stage.total
    if progress.state == "running" and not total:
        return None
    return min(done / total, 1.0) if total else float(progress.state in ENDED)


def tab(run: Run, progress: Progress) -> str:
    """What the browser's tab says of the run: `42 % poems` while it works."""
    done = share(progress)
    if progress.state not in ("running", "paused") or done is None:
        return run.name
    return f"{t('{n} %', n=f'{100 * done:.0f}')} {run.name}"


def ended(run: Run, progress: Progress) -> str:
    """For the notice that it is done."""
    return f"{run.name}: {state(progress)}. {status(progress)}"


def bar(progress: Progress) -> str:
    """A moving band where nobody knows how much is left."""
    done = share(progress)
    if done is None:
        return f'<div class="bar unknown" role="progressbar" aria-label="{text(t("working"))}"><i></i></div>'
    return (
        f'<div class="bar {progress.state}" role="progressbar" aria-label="{text(t("done"))}" aria-valuenow="{100 * done:.0f}" '
        f'aria-valuemin="0" aria-valuemax="100"><i style="width:{100 * done:.2f}%"></i></div>'
    )


def notes(progress: Progress) -> str:
    """What the job chose and why, and what it warns of."""
    return section(t("What it chose, and why")) + _list(progress.notes) if progress.notes else ""


def samples(progress: Progress) -> str:
    """What the model answered to each question while it learned, step by step."""
    if not progress.samples:
        return ""
    by_question: dict[str, list[Sampled]] = {}
    for each in progress.samples:
        by_question.setdefault(each.question, []).append(each)
    drawn = "".join(
        f'<h3 class="question" translate="no">{text(question)}</h3>'
        + table(
            ("#" + t("Step"), t("Answer")),
            ((number(each.step), _answer(each)) for each in answers),
            "samples",
        )
        for question, answers in by_question.items()
    )
    return section(t("What it answers"), t("the likeliest words, at each measurement")) + drawn


def _answer(sample: Sampled) -> str:
    cut = (
        "" if sample.ended == "turn" else f' <small title="evaluate.max_new_tokens">… {t("cut off")}</small>'
    )
    answer = sample.answer.strip()
    return f"<p>{as_written(answer) if answer else '<small>' + t('nothing') + '</small>'}{cut}</p>"


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
    return (section(t("Published before")) if before else "") + f'<ul class="published">{lines}</ul>'


def console(run: Run) -> str:
    """The end of what the job printed, as text; a progress bar's many states are shown as its last."""
    if not run.console.is_file():
        return ""
    with run.console.open("rb") as file:
        file.seek(max(0, run.console.stat().st_size - CONSOLE_BYTES))
        printed = file.read().decode("utf-8", "replace")
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in printed.split("\n")][-CONSOLE_LINES:]
    return "\n".join(lines).strip()


def ways_on(run: Run, progress: Progress) -> str:
    """Links to what can be done with a trained run."""
    if not progress.trained:
        return ""
    links = "".join(
        f'<a class="way" href="{address(path, run.name)}">{t(name)}</a>'
        for path, name in (("evaluate", "See the scores"), ("chat", "Talk to it"), ("publish", "Publish it"))
    )
    return f'<nav class="ways" aria-label="{text(t("What to do with this run"))}">{links}</nav>'


def acts(run: Run, progress: Progress) -> list[str]:
    """Which buttons there are for the run now, by their ids."""
    possible = {
        "pause": can_pause(run, progress),
        "continue": can_go_on(run, progress),
        "stop": can_stop(run, progress),
        "discard": can_discard(run, progress),
        "end": can_end(run, progress),
        "resume": progress.resumable,
        "publish-again": can_publish_again(progress),
        "again": True,
        "rename-it": can_delete(progress),
        "delete": can_delete(progress),
    }
    return [name for name, offered in possible.items() if offered]


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
        f'<li class="{"warning" if note.warning else ""}">{said(note.text)}</li>' for note in notes
    )
    return f'<ul class="notes">{lines}</ul>' if lines else ""


def _left(progress: Progress) -> str:
    seconds = progress.steps[-1].eta_seconds
    return t("about {time} left", time=duration(seconds)) if seconds >= 1 else t("nearly done")


def _outcome(progress: Progress) -> str:
    if progress.act == "push" and progress.published:
        return t(": {what}", what=progress.published[-1].url)
    if progress.act != "train" or not progress.steps:
        return ""
    return t(": {what}", what=count(progress.step, "step")) + _held_out(progress.held_out)


def _held_out(held_out: Sequence) -> str:
    if len(held_out) < 2:
        return ""
    first, best = held_out[0], min(held_out, key=lambda each: each.loss)
    return t(
        ". Held-out loss was {first} at step {begin} and {best} at its best, step {step}",
        first=number(first.loss, ".2f"),
        begin=number(first.step),
        best=number(best.loss, ".2f"),
        step=number(best.step),
    )


def _link(url: str, words: str) -> str:
    if not url.startswith(("https://", "http://")):
        return text(words)
    return f'<a href="{text(url)}" target="_blank" rel="noreferrer">{text(words)}</a>'
