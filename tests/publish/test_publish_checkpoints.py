"""Checkpoints reach the Hub while the training goes on; whatever happens there costs the training nothing."""

import shutil
import time

import pytest

from core.publish.checkpoints import BRANCH, SENDING, landing
from core.runs import Run
from core.spec import RunSpec, merge
from tests.conftest import until


@pytest.fixture
def landed(lora_run, tmp_path, hub, monkeypatch):
    """A run whose checkpoints have not landed yet, and what makes one land."""
    run = Run(
        shutil.copytree(
            lora_run.folder, tmp_path / "runs" / "lora", ignore=shutil.ignore_patterns("checkpoints")
        )
    )
    run.checkpoints.mkdir()
    settings = {"publish": {"to": "ada/tales", "checkpoints": True}}
    RunSpec.from_dict(merge(run.spec.model_dump(mode="json"), settings)).save(run.folder / "spec.yaml")
    for name, value in hub.environment(hub.writer).items():
        monkeypatch.setenv(name, value)
    source = next(lora_run.checkpoints.glob("checkpoint-*"))

    def land(step: int) -> None:
        beside = shutil.copytree(source, run.checkpoints / ".partial")
        (beside / "step.json").write_text(str(step))
        (beside / "training_args.bin").write_bytes(b"pickled")
        beside.rename(run.checkpoints / f"checkpoint-{step}")

    return run, land


def said(run: Run) -> list[tuple[str, bool]]:
    return [(note.text, note.warning) for note in run.progress().notes]


def published(hub, step: int) -> bool:
    repo = hub.repos.get(("models", "ada/tales"))
    return bool(repo) and BRANCH in repo.branches and repo.at(BRANCH).title.startswith(f"checkpoint-{step} ")


def test_each_checkpoint_is_one_commit_and_the_branch_holds_the_latest_without_what_only_a_resume_needs(
    landed, hub
):
    run, land = landed
    with landing(run):
        land(4)
        until(lambda: published(hub, 4), 60)
        land(8)
    repo = hub.repos["models", "ada/tales"]
    titles = [each.title for each in repo.history(BRANCH)]
    assert titles == ["checkpoint-8 of lora", "checkpoint-4 of lora", "initial commit"]
    assert [each.title for each in repo.history("main")] == ["initial commit"] and repo.private
    tree = repo.at(BRANCH).tree
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "README.md"} <= set(tree)
    assert not [name for name in tree if name.endswith((".bin", ".pt", ".pth")) or "state" in name]
    assert tree["step.json"].content == b"8"
    for name, file in tree.items():
        assert hub.writer.encode() not in file.content and str(run.folder).encode() not in file.content, name
    assert [warning for _, warning in said(run)][-2:] == [False, False]
    assert not (run.folder / SENDING).exists()
    assert (run.checkpoints / "checkpoint-8" / "optimizer.pt").is_file(), "what was sent were second names"


def test_a_failure_is_one_warning_and_the_next_checkpoint_is_the_next_try(landed, hub):
    run, land = landed
    hub.fault("POST", "/commit/", 403, message="No room.")
    with landing(run):
        land(4)
        until(lambda: any("checkpoint-4 is not on the Hub" in text for text, _ in said(run)), 60)
        land(8)
    assert published(hub, 8) and [each.title for each in hub.repos["models", "ada/tales"].history(BRANCH)][
        1:
    ] == ["initial commit"]
    text, warning = next(each for each in said(run) if "checkpoint-4" in each[0])
    assert warning and "No room" in text and "\n" not in text and hub.writer not in text


def test_a_hub_that_is_silent_holds_up_neither_the_training_nor_its_end(landed, hub, monkeypatch):
    run, land = landed
    monkeypatch.setattr("core.publish.checkpoints.LAST", 0.5)
    hub.fault("GET", "whoami", "slow", seconds=60, times=9)
    with landing(run):
        began = time.monotonic()
        land(4)
        assert time.monotonic() - began < 5
        until(lambda: hub.log or any(fault.times < 9 for fault in hub.faults), 60)
        ending = time.monotonic()
    assert time.monotonic() - ending < 10
    assert said(run)[-1] == (
        "The last checkpoint was not sent: it took longer than 0 seconds. It is on this machine.",
        True,
    )


def test_what_the_training_raises_comes_out_and_the_last_checkpoint_is_still_sent(landed, hub):
    run, land = landed
    with pytest.raises(MemoryError), landing(run):
        land(4)
        raise MemoryError
    assert published(hub, 4)


def test_a_checkpoint_that_the_training_deletes_meanwhile_is_sent_whole(landed, hub):
    run, land = landed
    hub.fault("GET", "whoami", "slow", seconds=2)
    with landing(run):
        land(4)
        until(lambda: (run.folder / SENDING).exists(), 60)
        time.sleep(0.5)
        shutil.rmtree(run.checkpoints / "checkpoint-4")
    assert published(hub, 4)


def test_nothing_is_started_where_nobody_asked_for_it(lora_run, tmp_path):
    run = Run(shutil.copytree(lora_run.folder, tmp_path / "lora"))
    before = run.events.path.read_bytes()
    with landing(run):
        pass
    assert run.events.path.read_bytes() == before
