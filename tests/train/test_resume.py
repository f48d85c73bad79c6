"""Which checkpoint a run goes on from, and what it says where it cannot write one."""

import json
import os
import pickle
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import TrainError
from core.hashing import sha256_of
from core.runs import Run, RunStore
from core.runs.events import Noted
from core.train import checkpoints, disk
from core.train.reproduce import hashes
from tests.conftest import LORA
from tests.train import child
from tests.train.child import KILLED, At, kill_at

FULL = {"method": {"kind": "full"}}


def messages(run):
    return [event.text for event in run.events.read()[0] if isinstance(event, Noted) and event.warning]


@pytest.fixture
def before_final(straight, store) -> Run:
    """A run that was killed when all that was missing was its final model."""
    run = store.create("killed", straight(LORA).spec)
    assert child.train(run, kill_at("core.train.job.save_final")) == KILLED
    return run


@pytest.fixture
def folder(straight, tmp_path) -> Path:
    """Two checkpoints, of steps 8 and 10."""
    return shutil.copytree(straight(FULL).checkpoints, tmp_path / "checkpoints")


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_and_the_user_told(before_final, straight):
    with (before_final.checkpoints / "checkpoint-10" / "optimizer.pt").open("r+b") as file:
        file.seek(500)
        file.write(b"\0\1\2\3")
    assert child.train(before_final) == 0
    assert "checkpoint-10 is damaged and was not used; the run goes on from checkpoint 8." in messages(
        before_final
    )
    assert hashes(before_final.final) == hashes(straight(LORA).final)


def test_where_no_checkpoint_is_whole_the_run_begins_anew_and_ends_the_same(before_final, straight):
    for path in before_final.checkpoints.iterdir():
        (path / "adapter_model.safetensors").write_bytes(b"")
    assert child.train(before_final) == 0
    assert any("goes on from the beginning" in text for text in messages(before_final))
    assert hashes(before_final.final) == hashes(straight(LORA).final)


def test_a_checkpoint_with_a_damaged_file_is_passed_over(folder):
    newest, damaged = checkpoints.latest(folder)
    assert newest.name == "checkpoint-10" and damaged == ()
    with (newest / "model.safetensors").open("r+b") as file:
        file.seek(5000)
        file.write(b"\0\1\2\3")
    before, damaged = checkpoints.latest(folder)
    assert before.name == "checkpoint-8" and damaged == ("checkpoint-10",)


@pytest.mark.parametrize("missing", ["trainer_state.json", "optimizer.pt", "rng_state.pth", checkpoints.SEAL])
def test_a_checkpoint_that_lacks_a_file_is_not_whole(folder, missing):
    (folder / "checkpoint-10" / missing).unlink()
    assert not checkpoints.is_whole(folder / "checkpoint-10")


def test_a_file_that_was_not_sealed_makes_a_checkpoint_none(folder):
    (folder / "checkpoint-10" / "pytorch_model.bin").write_bytes(b"of somebody else")
    assert not checkpoints.is_whole(folder / "checkpoint-10")


@pytest.mark.parametrize("name", ["../outside.txt", "{}/outside.txt"])
def test_a_seal_that_names_a_file_elsewhere_is_none(folder, name):
    outside, checkpoint = folder / "outside.txt", folder / "checkpoint-10"
    outside.write_text("not ours")
    seal = json.loads((checkpoint / checkpoints.SEAL).read_text())
    seal[name.format(folder)] = sha256_of(outside)
    (checkpoint / checkpoints.SEAL).write_text(json.dumps(seal))
    assert not checkpoints.is_whole(checkpoint)


def test_a_link_out_of_a_checkpoint_makes_it_none(folder):
    weights = folder / "checkpoint-10" / "model.safetensors"
    weights.rename(folder / "elsewhere.safetensors")
    weights.symlink_to(folder / "elsewhere.safetensors")
    assert not checkpoints.is_whole(folder / "checkpoint-10")


@pytest.mark.parametrize("seal", ["", "[]", "null", '"x"', "{}"])
def test_a_seal_that_is_none_is_not_trusted(folder, seal):
    (folder / "checkpoint-10" / checkpoints.SEAL).write_text(seal)
    assert not checkpoints.is_whole(folder / "checkpoint-10")


def test_the_latest_is_told_by_its_step_whatever_the_clock_said(folder):
    os.utime(folder / "checkpoint-10", (1, 1))
    (folder / "checkpoint-of-mine").mkdir()
    assert checkpoints.latest(folder)[0].name == "checkpoint-10"


def test_no_more_checkpoints_are_kept_than_asked_for_beside_the_best(straight):
    kept = {path.name for path in straight(FULL).checkpoints.iterdir()}
    assert "checkpoint-10" in kept and len(kept) <= straight(FULL).spec.train.save_total_limit + 1


class Opens:
    """What a stranger would put into a pickle: reading it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_program_in_a_checkpoint_from_elsewhere_is_not_run(straight, store, tmp_path, name):
    run = store.create("strange", straight(FULL).spec)
    shutil.copytree(straight(FULL).checkpoints / "checkpoint-8", run.checkpoints / "checkpoint-8")
    (run.checkpoints / "checkpoint-8" / name).write_bytes(pickle.dumps(Opens(tmp_path / "was-here")))
    checkpoints.seal(run.checkpoints / "checkpoint-8")
    assert child.train(run) == 1
    assert not (tmp_path / "was-here").exists()
    assert "checkpoint-8 holds more than numbers and was not read" in run.progress().message


def test_a_clock_that_is_set_back_while_a_run_trains_changes_nothing(straight, store):
    run = store.create("set-back", straight(LORA).spec)
    back = At("core.train.recorder.Recorder.on_step_end", child.set_clock_back, 5)
    assert child.train(run, back, kill_at("core.train.recorder.Recorder.on_step_end", 9)) == KILLED
    assert child.train(run) == 0
    assert hashes(run.final) == hashes(straight(LORA).final)
    steps = run.progress().steps
    assert [each.step for each in steps] == list(range(1, 11))
    assert all(each.eta_seconds >= 0 and each.tokens_per_second > 0 for each in steps)


# A disk that refuses


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own, of 48 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with suppress(FileNotFoundError):
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", folder], capture_output=True)
        if made.returncode == 0:
            yield folder
            subprocess.run(["umount", "--lazy", folder], check=True)
            return
    pytest.skip("nothing can be mounted here")


def test_a_disk_that_fills_up_in_a_save_ends_in_a_sentence_and_the_run_can_go_on(straight, small_disk):
    run = RunStore(small_disk / "runs").create("full", straight(FULL).spec)
    # Between the check of the room and the second checkpoint, somebody else writes a large file.
    filled = At("core.train.recorder.Recorder.on_step_end", child.fill_disk, 6)
    assert child.train(run, filled) == 1
    progress = run.progress()
    assert (
        progress.state == "failed" and "the disk is full" in progress.message and "resume" in progress.message
    )
    assert progress.saved_step == 4 and checkpoints.latest(run.checkpoints)[0].name == "checkpoint-4"
    assert not (run.checkpoints / ".partial").exists() and not run.final.exists()
    (run.folder / "filler").unlink()
    assert child.train(run) == 0
    assert hashes(run.final) == hashes(straight(FULL).final)


def test_a_disk_that_fills_up_while_final_is_written_leaves_none(straight, small_disk):
    run = RunStore(small_disk / "runs").create("full", straight(FULL).spec)
    assert child.train(run, At("core.train.job._write_final", child.fill_disk)) == 1
    assert "the disk is full" in run.progress().message
    assert not run.final.exists() and not (run.folder / ".final").exists()
    (run.folder / "filler").unlink()
    assert child.train(run) == 0
    assert hashes(run.final) == hashes(straight(FULL).final)


def test_too_little_room_for_the_checkpoints_is_said_before_the_first_step(straight, small_disk):
    run = RunStore(small_disk / "runs").create("full", straight(FULL).spec)
    (small_disk / "filler").write_bytes(bytes(32_000_000))
    assert child.train(run) == 1
    assert "GB are free" in run.progress().message and run.progress().step == 0


def test_a_folder_that_can_only_be_read_is_said_before_the_first_step(straight, small_disk):
    run = RunStore(small_disk.parent / "runs").create("read-only", straight(FULL).spec)
    run.checkpoints.symlink_to(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert child.train(run) == 1
    assert "checkpoints cannot be written: the disk can only be read" in run.progress().message
    assert run.progress().step == 0


def test_files_that_may_not_become_large_end_in_a_sentence(straight, store):
    run = store.create("limited", straight(FULL).spec)
    assert child.train(run, child.limit_files) == 1
    assert "files may not become that large here" in run.progress().message
    assert not (run.checkpoints / ".partial").exists() and not run.final.exists()


def test_what_is_not_the_disks_fault_is_not_put_on_it(tmp_path):
    assert disk.refusal(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), tmp_path) is None
    assert disk.refusal(FileNotFoundError(2, "No such file or directory"), tmp_path) is None
    assert disk.refusal(PermissionError(13, "Permission denied", "/elsewhere/data.jsonl"), tmp_path) is None
    assert isinstance(
        disk.refusal(PermissionError(13, "Permission denied", tmp_path / "x"), tmp_path), TrainError
    )
