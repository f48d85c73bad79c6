"""The whole road over HF Jobs: sent, watched, left alone, joined again, brought home."""

import os
import signal

import pytest

from core.evaluate import report
from core.remote import record
from core.runs import jobs
from core.runs.events import Begun, Remote
from tests.conftest import pid_of, until, wait
from tests.remote.conftest import losses


@pytest.mark.slow
def test_a_run_on_hf_jobs_is_watched_left_joined_and_brought_home_as_if_it_had_been_trained_here(
    account, store, there, lora_run
):
    run = store.create("poems", there())
    jobs.start(run, token=account.writer)
    until(lambda: run.progress().step >= 2)  # seen while it is trained elsewhere
    assert run.progress().remote.stage == "RUNNING" and not run.final.exists()
    os.kill(pid_of(run), signal.SIGKILL)
    until(lambda: run.progress().state == "lost", 20)
    assert "resume joins it again" in run.progress().message

    jobs.start(run, token=account.writer)
    assert wait(run) == "finished"
    progress = run.progress()
    assert len(account.jobs) == 1
    assert losses(run) == losses(lora_run)
    assert [each.step for each in progress.steps] == list(range(1, 13))
    assert [each.answer for each in progress.samples] == [each.answer for each in lora_run.progress().samples]
    assert progress.trained and progress.remote.stage == "COMPLETED" and progress.remote.usd > 0
    assert report.read(run).tasks
    assert (run.folder / "final/adapter_model.safetensors").is_file() and run.manifest.is_file()

    (job,) = account.jobs.values()
    sent = record.read(run)
    repo = account.repos["models", sent.repo]
    assert repo.private and sent.settled and sent.job == job.id
    assert any(isinstance(event, Remote) and event.flavor == "cpu-upgrade" for event in run.events.read()[0])
    told = "\n".join(line["data"] for line in job.log) + str(job.described(account))
    files = [path.read_bytes() for path in run.folder.rglob("*") if path.is_file()]
    files += [file.content for commit in repo.commits.values() for file in commit.tree.values()]
    token = account.writer.encode()
    assert not any(token in content for content in (*files, told.encode()))


@pytest.mark.slow
def test_a_job_that_was_ended_by_its_timeout_goes_on_from_the_checkpoint_that_it_had_brought_to_the_hub(
    account, store, there, lora_run
):
    run = store.create("late", there())
    account.fault("POST", "/api/jobs/ada$", "drop-after")  # and the answer that made the job was lost
    jobs.start(run, token=account.writer)
    until(lambda: run.progress().saved_step >= 4)
    (job,) = account.jobs.values()
    job.end("ERROR", "Job timeout")
    assert wait(run) == "failed"
    assert "after its timeout" in run.progress().message and "is saved" in run.progress().message
    at = run.progress().saved_step

    jobs.start(run, token=account.writer)
    until(lambda: len([each for each in run.events.read()[0] if isinstance(each, Begun)]) == 2)
    begun = [each for each in run.events.read()[0] if isinstance(each, Begun)][-1]
    assert begun.resumed_from == at
    until(lambda: run.progress().step > at)
    jobs.stop(run)
    assert wait(run) in ("stopped", "finished")  # it may have been at its last step
    if run.progress().state == "stopped":
        assert run.progress().saved_step == run.progress().step
        jobs.start(run, token=account.writer)
        assert wait(run) == "finished"
    assert losses(run) == losses(lora_run)
    assert len(account.jobs) <= 3 and record.read(run).usd_before >= 0
    assert run.progress().remote.usd_before > 0
