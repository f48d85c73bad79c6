"""The shell's words for the line and for what is at work: what they do, print, refuse."""

import json
import os

import pytest

from core import cli
from core.runs import queue
from core.runs.events import Begun, Queued, Sampled, Started, Stopped
from core.runs.store import RunStore
from core.show import follow_run
from tests.conftest import bystander, quick


@pytest.fixture
def say(store, capsys):
    """Runs a verb on the test's own store: its exit status, and what it printed and complained of."""

    def say(*words):
        status = cli.main([*words, "--runs", str(store.root)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return say


def waiting(store: RunStore, name: str):
    run = store.create(name, quick())
    queue.line_up(run)
    run.events.append(Queued(act="train"))
    run.set_process(bystander())
    return run


@pytest.fixture
def at_work(store):
    run = store.create("busy", quick())
    for event in (Started(act="train", pid=os.getpid(), device="cpu"), Begun(total_steps=9)):
        run.events.append(event)
    with run.lock:
        yield run


def test_the_line_is_shown_changed_and_told_to_programs(store, say, at_work):
    for name in ("first", "second", "third"):
        waiting(store, name)
    assert json.loads(say("queue", "--json")[1])["waiting"] == ["first", "second", "third"]
    assert say("queue", "move", "third", "--first")[0] == 0
    status, printed, _ = say("queue", "move", "first", "--before", "second")
    assert status == 0
    assert [line.split()[:2] for line in printed.splitlines()[1:]] == [
        ["cpu", "busy"], ["1", "third"], ["2", "first"], ["3", "second"]
    ]  # fmt: skip
    say("queue", "move", "third", "--last")
    told = json.loads(say("queue", "--json")[1])
    assert told["waiting"] == ["first", "second", "third"]
    assert told["running"] == [
        {"run": "busy", "act": "train", "state": "running", "device": "cpu", "step": 0, "total_steps": 9}
    ]


def test_what_cannot_be_done_is_refused_with_a_sentence(store, say, at_work):
    waiting(store, "first")
    for words, sentence in (
        (("queue", "move", "first"), "--first, --last, or --before"),
        (("queue", "move", "busy", "--first"), "does not wait for its turn"),
        (("queue", "cancel", "busy"), "does not wait for its turn"),
        (("pause", "first"), "is not training"),
        (("continue", "busy"), "is not paused"),
        (("delete", "busy", "--yes"), "is at work; stop it first"),
        (("delete", "first"), "say so with --yes"),
        (("stop", "nobody"), "no run called 'nobody'"),
    ):
        status, _, complaint = say(*words)
        assert (status, sentence in complaint) == (2, True), complaint


def test_a_pause_is_asked_for_and_taken_back(say, at_work):
    assert say("pause", "busy")[0] == 0 and at_work.pause_requested()
    assert say("continue", "busy")[0] == 0 and not at_work.pause_requested()


def test_a_run_that_ended_is_deleted(store, say):
    run = store.create("old", quick())
    run.events.append(Stopped(act="train"))
    assert say("delete", "old", "--yes")[0] == 0 and not run.folder.exists()
    assert list(store.root.iterdir()) == []


def test_a_watcher_sees_the_answers_and_how_a_run_was_stopped(store, capsys):
    run = store.create("old", quick())
    for event in (
        Begun(total_steps=9),
        Sampled(step=4, question="Who?", answer="A fox\x1b.", ended="length"),
        Stopped(act="train", step=4, forced=True),
    ):
        run.events.append(event)
    follow_run(run)
    printed = capsys.readouterr().out
    assert "Who?" in printed and "A fox\\x1b. …" in printed and "ended by force" in printed
