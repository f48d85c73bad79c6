"""Whoever follows a job hears all of it once, passes on what is asked, and says in a sentence how it ended."""

import json
import os
import subprocess
import sys
import time

import pytest

from core.remote import carry, follow, record
from core.remote.pulling import is_of_a_run
from core.remote.words import LONGEST, Listener, told
from core.runs import jobs
from core.runs.events import Begun, Failed, HeldOut, Noted, Remote, Sampled, Saved, Staged, Stepped
from core.runs.jobs import ROOT
from tests.conftest import until, wait
from tests.hub.store import File
from tests.remote.conftest import log_of

BEGUN = Begun(at=1.0, total_steps=9)


def step(number: int) -> Stepped:
    return Stepped(
        at=float(number),
        step=number,
        epoch=0.1,
        loss=1 / number,
        learning_rate=1e-3,
        gradient_norm=1.0,
        tokens_per_second=9.0,
        memory_bytes=9,
        eta_seconds=1.0,
    )


def test_a_log_that_breaks_off_is_read_on_and_nothing_is_said_twice(account, joined):
    account.fault("GET", "/logs$", "drop-mid-body", times=2)
    account.fault("GET", "/logs$", 500)
    said = [BEGUN, *(step(number) for number in range(1, 7)), Failed(act="train", message="The data is odd.")]
    run = joined(log_of("Installing", *said) + "raise SystemExit(1)")
    jobs.start(run)
    assert wait(run) == "failed"
    progress = run.progress()
    assert [each.step for each in progress.steps] == [1, 2, 3, 4, 5, 6] and progress.total_steps == 9
    assert progress.message == "The data is odd." and progress.remote.stage == "ERROR"
    assert account.requests("GET", "/logs$") >= 4
    assert run.console.read_text().count("Installing") == 1
    assert record.read(run).settled


def test_a_job_that_dies_without_a_word_is_told_with_its_last_lines_and_what_is_saved(joined):
    run = joined(
        log_of(BEGUN, step(1), Saved(at=1.5, step=1), "CUDA error: an illegal memory access")
        + "raise SystemExit(3)"
    )
    jobs.start(run)
    assert wait(run) == "failed"
    message = run.progress().message
    assert "ended with ERROR (Exit code 3)" in message and "illegal memory access" in message
    assert message.endswith("`atelier resume far` goes on from step 1, which is saved.")


def test_a_job_that_ran_out_of_time_is_told_as_that(account, joined):
    account.job_seconds = 1.0
    run = joined(log_of(BEGUN) + "time.sleep(60)")
    jobs.start(run)
    assert wait(run) == "failed"
    assert "after its timeout of 30 min (compute.timeout). Nothing was saved yet" in run.progress().message


def test_a_job_that_was_canceled_at_the_hub_is_told_as_that(account, joined):
    run = joined(log_of(BEGUN, step(1)) + "time.sleep(60)")
    jobs.start(run)
    until(lambda: run.progress().step == 1)
    next(iter(account.jobs.values())).end("CANCELED")
    assert wait(run) == "failed"
    assert "was canceled at the Hub" in run.progress().message


def test_at_once_cancels_the_job_and_its_cost_is_kept(account, joined):
    run = joined(log_of(BEGUN, step(1)) + "time.sleep(60)", usd_before=0.5)
    jobs.start(run)
    until(lambda: run.progress().step == 1)
    time.sleep(1.0)  # whole seconds are billed
    jobs.stop(run, now=True)
    assert wait(run) == "stopped"
    (job,) = account.jobs.values()
    progress = run.progress()
    assert job.stage == "CANCELED" and progress.forced and progress.remote.stage == "CANCELED"
    assert progress.remote.usd > 0.5 and record.read(run).usd_before > 0.5


def test_a_job_that_is_not_to_be_seen_yet_is_not_taken_to_be_over(account, store, there):
    run = store.create("far", there())
    record.new(run, "ada").next().keep(run)
    asked = [sys.executable, "-m", "core", "remote", "cancel", "far", "--runs", str(store.root)]
    refused = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    assert "not to be seen at HF Jobs yet: cancel it again" in refused.stderr
    assert not record.read(run).settled
    long_ago = time.time() - follow.UNSEEN - 1
    os.utime(run.folder / record.FILE, (long_ago, long_ago))
    subprocess.run(asked, cwd=ROOT, check=True)
    assert record.read(run).settled


def test_where_the_disk_knows_no_second_names_a_checkpoint_is_brought_as_a_copy(
    account, store, there, monkeypatch
):
    run = store.create("far", there())
    (run.checkpoints / "checkpoint-4").mkdir(parents=True)
    (run.checkpoints / "checkpoint-4" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no second names")))
    monkeypatch.setattr(carry, "push", lambda *_, **__: None)
    keeper = carry._Keeper(run, "ada/far")
    keeper.keep(Saved(at=1.0, step=4))
    said = []
    until(lambda: said.extend(keeper.kept()) or said, 10)
    keeper.end()
    assert said == [Saved(at=1.0, step=4)]


def test_a_checkpoint_that_cannot_be_held_is_told_of_and_one_that_is_gone_is_not(store, there, monkeypatch):
    run = store.create("far", there())
    keeper = carry._Keeper(run, "ada/far")
    keeper.keep(Saved(at=1.0, step=4))
    assert keeper.kept() == []
    (run.checkpoints / "checkpoint-8").mkdir(parents=True)
    (run.checkpoints / "checkpoint-8" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(carry, "hold", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    keeper.keep(Saved(at=1.0, step=8))
    [said] = keeper.kept()
    assert "checkpoint-8 is not saved at the Hub. the disk is full" in said.text and said.warning
    keeper.end()


def test_what_is_discarded_is_gone_at_the_hub_too(account, joined):
    run = joined(log_of(BEGUN, step(1)) + "time.sleep(60)")
    repo = record.read(run).repo
    jobs.start(run)
    until(lambda: run.progress().step == 1)
    jobs.stop(run, discard=True)
    assert wait(run) == "stopped"
    assert run.progress().discarded and ("models", repo) not in account.repos
    assert not (run.folder / record.FILE).exists()


def test_stop_is_passed_on_through_the_repository_and_refused_requests_are_passed_on_again(account, joined):
    account.fault("POST", "/commit/", 403)
    run = joined(log_of(BEGUN, step(1)) + "time.sleep(60)")
    jobs.start(run)
    until(lambda: run.progress().step == 1)
    jobs.stop(run)
    tree = account.repos["models", record.read(run).repo]
    until(lambda: "requests/1-stop" in tree.head.tree, 60)
    assert any("tried again" in note.text for note in run.progress().notes)


LOOKED = """
import sys
from pathlib import Path
from core.remote import carry, client, record
from core.runs import Run
run = Run(Path(sys.argv[1]))
for attempt in (1, 2):
    carry._pass_on(client.Jobs(), record.Record("ab12", "ada", "ada/far", attempt=attempt), run)
    print(run.stop_requested())
"""


def test_a_machine_stops_its_run_when_that_is_asked_at_the_hub_of_its_own_attempt(account, store, there):
    run = store.create("far", there())
    account.add_repo("ada/far").commit("main", {"requests/2-stop": File(b"stop\n")}, "Stop", author="ada")
    looked = subprocess.run(
        [sys.executable, "-c", LOOKED, str(run.folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert looked.stdout.split() == ["False", "True"], looked.stderr


def test_what_the_log_had_lost_is_in_the_results_and_is_told_from_there_on(account, joined):
    noted = Noted(at=0.5, text="Rows are packed.")
    whole = [noted, BEGUN, step(1), HeldOut(at=1.5, step=1, loss=2.0, token_accuracy=0.5), step(2), step(3)]
    heard = [noted, BEGUN, step(1), step(3)]
    run = joined(log_of(*heard, Failed(act="train", message="No.")) + "time.sleep(1); raise SystemExit(1)")
    sent = record.read(run)
    lines = log_of(*whole).replace("print('@atelier ", "").replace("', flush=True)", "").encode()
    listed = {"events.jsonl": {"sha256": File(lines).sha256, "size": len(lines)}}
    results = json.dumps({"outcome": "failed", "files": listed}).encode()
    files = {"results-1.json": File(results), "results/events.jsonl": File(lines)}
    account.repos["models", sent.repo].commit("main", files, "Results", author="ada")
    jobs.start(run)
    assert wait(run) == "failed"
    progress = run.progress()
    assert [each.step for each in progress.steps] == [1, 2, 3]
    assert [each.loss for each in progress.held_out] == [2.0]
    assert [note.text for note in progress.notes].count("Rows are packed.") == 1


def test_results_that_are_not_what_was_sent_are_not_taken_over(account, joined):
    run = joined(log_of(BEGUN, step(1)) + "")
    sent = record.read(run)
    listed = {"final/adapter.bin": {"sha256": "0" * 64, "size": 4}}
    results = json.dumps({"outcome": "finished", "files": listed}).encode()
    files = {"results-1.json": File(results), "results/final/adapter.bin": File(b"evil")}
    account.repos["models", sent.repo].commit("main", files, "Results", author="ada")
    jobs.start(run)
    assert wait(run) == "failed"
    assert "with other content than the machine had sent" in run.progress().message
    assert not run.final.exists() and not record.read(run).settled


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("final/adapter_model.safetensors", True),
        ("checkpoints/checkpoint-4/optimizer.pt", True),
        ("events.jsonl", True),
        ("../evil", False),
        ("/etc/passwd", False),
        ("final/../../evil", False),
        ("final\\..\\evil", False),
        ("final", False),
        ("spec.yaml", False),
        ("lock", False),
    ],
)
def test_results_name_no_other_file_than_a_runs(name, wanted):
    assert is_of_a_run(name) == wanted


def test_a_long_event_comes_in_pieces_and_is_one_again():
    said = json.dumps({"event": "sampled", "at": 1.0, "step": 1, "question": "?", "answer": "ä€" * LONGEST})
    lines = told(said)
    assert len(lines) > 2 and all(len(line) < LONGEST + 20 for line in lines)
    listener = Listener()
    heard = [listener.hear(line) for line in lines]
    assert heard[:-1] == [None] * (len(lines) - 1)
    assert isinstance(heard[-1], Sampled) and heard[-1].answer == "ä€" * LONGEST
    assert listener.hear("a line of its own") == "a line of its own"


def test_only_what_belongs_to_a_training_is_taken_from_a_log(joined):
    other = Remote(at=2.0, job="ada/other", url="https://example.org", flavor="h200", usd_per_hour=99.0)
    run = joined(
        log_of(BEGUN, other, Staged(at=3.0, stage="Encoding"), Failed(act="train", message="Enough."))
        + "raise SystemExit(1)"
    )
    jobs.start(run)
    assert wait(run) == "failed"
    assert run.progress().remote.flavor == "cpu-upgrade"


def test_a_paused_machine_would_be_paid_for_so_it_is_not_paused(account, joined):
    run = joined(log_of(BEGUN, step(1)) + "time.sleep(60)")
    jobs.start(run)
    until(lambda: run.progress().step == 1)
    with pytest.raises(Exception, match="waiting costs as much"):
        jobs.pause(run)
    with pytest.raises(Exception, match="is at work"):
        jobs.delete(run)
    jobs.stop(run, now=True)
    assert wait(run) == "stopped"
