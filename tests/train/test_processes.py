"""Two processes on one training: the same steps as one makes, all stopped, killed and told of together."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest
import torch
from accelerate.state import AcceleratorState
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.deepspeed import HfDeepSpeedConfig
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.integrations import deepspeed

from core.errors import RunError, SpecError, TrainError
from core.runs import Run, RunStore, jobs
from core.spec import RunSpec
from core.train import checkpoints, installed, processes
from core.train.distributed import launching, sharing
from core.train.trainer import Settings, trainer_settings
from tests.conftest import LORA, pid_of, until, wait
from tests.train import child

TWO = {"compute": {"processes": 2, "threads": 2}}
SHARED = {"compute": {"processes": 2, "threads": 2, "strategy": "fsdp"}}
# In steps of five, the last one of an epoch has one example: three, two or one for a process, and once none.
UNEVEN = {"data": {"examples": 21}, "train": {"batch_size": 5, "max_steps": 16, "precision": "float32"}}
CASES = {
    "full, laid end to end": (UNEVEN, {"train": {"packing": True}}),
    "lora, padded": (UNEVEN, LORA, {"method": {"dropout": 0.0}, "train": {"packing": False}}),
}


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {
        name: weight for path in run.final.glob("*.safetensors") for name, weight in load_file(path).items()
    }


def losses(run: Run) -> list[float]:
    progress = run.progress()
    return [each.loss for each in progress.steps] + [each.loss for each in progress.held_out]


def ranks_of(pid: int) -> list[psutil.Process]:
    """The processes that train for this job."""
    return [each for each in psutil.Process(pid).children() if "rank" in each.cmdline()]


def gone(each: psutil.Process) -> bool:
    return not each.is_running() or each.status() == psutil.STATUS_ZOMBIE


def same_training(run: Run, other: Run) -> None:
    """Within what adding up in another order makes of float32."""
    assert [each.step for each in run.progress().steps] == [each.step for each in other.progress().steps]
    assert losses(run) == pytest.approx(losses(other), rel=2e-4)
    ours, theirs = weights(run), weights(other)
    assert set(ours) == set(theirs)
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=0, atol=2e-3, msg=name)


@pytest.fixture(scope="session")
def by_two(spec_of, tmp_path_factory):
    """The run with these settings on top, trained by two processes, once for all who ask."""
    store, made = RunStore(tmp_path_factory.mktemp("two") / "runs"), {}

    def run_of(*layers: dict) -> Run:
        key = str(layers)
        if key not in made:
            made[key] = store.create(f"two-{len(made)}", spec_of(*layers, TWO))
            child.finished(made[key], child.fork_ranks)
        return made[key]

    return run_of


@pytest.mark.parametrize("case", CASES)
def test_two_processes_make_the_steps_of_one(by_two, straight, case):
    run, alone = by_two(*CASES[case]), straight(*CASES[case])
    assert len(run.progress().steps) == 16
    assert json.loads(run.manifest.read_text())["plan"]["examples"] % 5 == 1
    same_training(run, alone)


def test_what_is_written_is_written_once_and_the_checkpoints_hold_each_process(by_two):
    run = by_two(*CASES["full, laid end to end"])
    steps = [each.step for each in run.progress().steps]
    assert steps == sorted(set(steps)) and [each.step for each in run.progress().held_out][0] == 0
    newest, damaged = checkpoints.latest(run.checkpoints)
    assert newest and not damaged
    assert {path.name for path in newest.glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}
    assert not (run.folder / "rows").exists() and not (run.folder / ".failures").exists()
    assert "[2] " in run.console.read_text()


def test_stopped_then_killed_they_go_on_and_end_bit_for_bit_as_if_nothing_had_been(by_two, store):
    straight = by_two(*CASES["full, laid end to end"])
    run = store.create("hurt", straight.spec)
    job = child.begun(run, child.fork_ranks, child.take_time)
    until(lambda: run.progress().step >= 2)
    jobs.stop(run)
    job.join()
    assert run.progress().state == "stopped"
    at = run.progress().step
    assert checkpoints.step_of(checkpoints.latest(run.checkpoints)[0]) == at < 8

    job = child.begun(run, child.fork_ranks, child.take_time)
    until(lambda: run.progress().step >= at + 2 and run.progress().saved_step > at)
    trained_by = psutil.Process(job.pid).children()
    assert len(trained_by) == 2
    os.kill(pid_of(run), signal.SIGKILL)
    until(lambda: all(map(gone, trained_by)), 15)  # nobody trains on for a job that is gone
    job.join()
    assert not run.final.exists() and run.progress().step < 16

    child.finished(run, child.fork_ranks)
    assert losses(run) == losses(straight)
    ours, theirs = weights(run), weights(straight)
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


def test_a_process_that_is_killed_ends_the_run_with_a_sentence_and_the_others_with_it(spec_of, store):
    run = store.create("short", spec_of(TWO, {"train": {"max_steps": 1000}}))
    jobs.start(run)
    until(lambda: run.progress().step >= 1)
    trained_by = ranks_of(pid_of(run))
    trained_by[1].kill()
    assert wait(run) == "failed"
    assert all(map(gone, trained_by))
    message = run.progress().message
    assert "of 2 was killed, as a machine does that has no memory left." in message and "Error" not in message


def test_what_one_process_cannot_do_is_said_in_its_own_sentence(spec_of, store):
    run = store.create("wrong", spec_of(LORA, TWO, {"method": {"target_modules": ["elbow"]}}))
    assert child.train(run, child.fork_ranks) == 1
    assert run.progress().state == "failed"
    message = run.progress().message
    assert "target_modules" in message and "elbow" in message and "Process" not in message


def test_of_several_failures_the_first_is_told(tmp_path, monkeypatch):
    run = Run(tmp_path)
    for rank, error in ((1, ValueError("no such head")), (0, RuntimeError("Connection closed by peer"))):
        monkeypatch.setenv("RANK", str(rank))
        processes._remember(run, error)
    told = processes._what_happened(processes._first_failure(run), [1, 1])
    assert isinstance(told, TrainError)
    assert str(told).startswith("Process 2 of 2 failed. ValueError: no such head.")


def test_one_that_ran_out_of_memory_fails_as_that_so_that_less_can_be_tried(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    processes._remember(Run(tmp_path), MemoryError("cannot allocate memory"))
    told = processes._what_happened(processes._first_failure(Run(tmp_path)), [-15, 1])
    assert isinstance(told, torch.OutOfMemoryError)


def test_a_rank_that_nobody_numbered_says_what_starts_it(tmp_path, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", processes.LED):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Exception, match="accelerate launch"):
        processes.be_rank(tmp_path)


@pytest.mark.parametrize(
    "settings, gpus, said",
    [
        ({"compute": {"strategy": "fsdp"}}, 8, "compute.processes is 1"),
        ({"compute": {"processes": 4}}, 2, "of which 2 can be seen"),
        (
            {"compute": {"processes": 8, "machines": 2}},
            2,
            "4 on each machine, and each takes a GPU, of which 2",
        ),
        ({"compute": {"processes": 3, "machines": 2}}, 0, "no multiple of compute.machines"),
        ({"compute": {"processes": 2, "device": "cuda"}}, 0, "of which none can be seen"),
        ({"compute": {"processes": 2, "strategy": "deepspeed"}}, 0, "needs GPUs"),
        ({"compute": {"processes": 2, "strategy": "fsdp"}, "method": {"kind": "qlora"}}, 2, "4-bit"),
        (
            {"compute": {"processes": 2, "strategy": "fsdp"}, "train": {"optimizer": "adafactor"}},
            2,
            "adafactor",
        ),
    ],
)
def test_settings_that_cannot_go_together_are_refused_before_anything_is_loaded(settings, gpus, said):
    with pytest.raises(SpecError, match=said):
        processes.check(RunSpec.from_dict(settings), gpus)


def test_deepspeed_that_is_not_installed_is_refused_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match="pip install deepspeed"):
        installed.check_installed(RunSpec.from_dict({"compute": {"processes": 2, "strategy": "deepspeed"}}))


@pytest.mark.parametrize(
    "settings, gpus",
    [
        ({}, 0),
        ({"compute": {"processes": 2}}, 2),
        ({"compute": {"processes": 4, "machines": 2}}, 2),
        ({"compute": {"processes": 2, "strategy": "fsdp"}}, 0),
    ],
)
def test_settings_that_go_together_are_let_pass(settings, gpus):
    processes.check(RunSpec.from_dict(settings), gpus)


def planned(**changes: object) -> SimpleNamespace:
    """What these settings read of a plan."""
    fields = dict(
        batch_size=17, held_out=8, total_steps=100, warmup_steps=5, evaluate_every=10, learning_rate=1e-4
    )
    fields |= dict(tokens_at_once=4096, micro_batch_size=4, packing=False, bfloat16=True, workers=0)
    return SimpleNamespace(**fields | {"gradient_checkpointing": True, "optimizer": "adamw"} | changes)


@pytest.fixture
def tiny() -> LlamaForCausalLM:
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, num_key_value_heads=2, **sizes))


def test_accelerate_takes_the_settings_of_fsdp2_as_they_are_meant(tiny, tmp_path):
    spec = RunSpec.from_dict({"compute": {"processes": 2, "strategy": "fsdp"}, "method": {"kind": "full"}})
    shared = sharing.settings(spec, planned(), tiny)
    args = trainer_settings(spec, planned(), Run(tmp_path), cpu=True, shared=shared)
    sharing.set_up(args)
    AcceleratorState._reset_state(
        reset_partial_state=True
    )  # what set_up told accelerate is for this run alone
    plugin = FullyShardedDataParallelPlugin(**args.fsdp_plugin_args)
    plugin.set_mixed_precision("bf16")  # as accelerate does, which must leave ours as it is
    plugin.set_auto_wrap_policy(tiny)
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True
    assert plugin.state_dict_type.name == "SHARDED_STATE_DICT"
    assert plugin.auto_wrap_policy.keywords["transformer_layer_cls"] == {type(tiny.model.layers[0])}
    assert plugin.activation_checkpointing and not args.activation_checkpointing
    policy = plugin.mixed_precision_policy
    assert (policy.param_dtype, policy.reduce_dtype) == (torch.bfloat16, torch.float32)
    assert policy.output_dtype is None  # the loss is an output, and bfloat16 would round it


class AsInstalled(deepspeed.HfTrainerDeepSpeedConfig, HfDeepSpeedConfig):
    """What transformers makes of its class where it finds the package deepspeed, whose presence alone is pretended."""


@pytest.mark.parametrize("method, stage", [("full", 3), ("lora", 2)])
def test_transformers_finds_nothing_to_fill_in_or_to_correct_in_deepspeeds_settings(
    tiny, tmp_path, monkeypatch, method, stage
):
    monkeypatch.setattr(deepspeed, "dep_version_check", lambda package: None)
    spec = RunSpec.from_dict(
        {"compute": {"processes": 2, "strategy": "deepspeed"}, "method": {"kind": method}}
    )
    settings = sharing.settings(spec, planned(), tiny)["deepspeed"]
    args = trainer_settings(spec, planned(), Run(tmp_path), cpu=True)
    monkeypatch.setattr(Settings, "world_size", 2)
    config = AsInstalled(settings)
    config.trainer_config_process(args)
    config.trainer_config_finalize(args, tiny, 100)  # raises for each value that is not the trainer's
    assert config.config == settings and '"auto"' not in json.dumps(settings)
    assert config.config["zero_optimization"]["stage"] == stage
    assert (settings["bf16"], settings["gradient_clipping"]) == ({"enabled": True}, 1.0)


def test_rows_of_added_tokens_under_an_adapter_are_refused_where_the_embedding_is_shared(tiny):
    spec = RunSpec.from_dict({"compute": {"processes": 2, "strategy": "fsdp"}})
    with pytest.raises(TrainError, match="template.kind instruct"):
        sharing.settings(spec, planned(), tiny, added_tokens=2)
    assert sharing.settings(spec, planned(), tiny)["fsdp"]


def test_a_model_without_known_layers_is_refused_by_fsdp(tiny):
    tiny._no_split_modules = ["SomethingElse"]
    with pytest.raises(TrainError, match="does not know the layers"):
        sharing.layers(tiny)


IN_FULL = {"train": {"precision": "float32"}}
FSDP_CASES = {
    "full, computed twice": ({"train": {"gradient_checkpointing": True}},),
    "lora, no token added": (LORA, {"method": {"dropout": 0.0}, "template": {"kind": "instruct"}}),
}


@pytest.fixture(scope="session")
def sharing_weights(spec_of, tmp_path_factory):
    """The run of a case, trained by two that share the weights, once for all who ask."""
    store, made = RunStore(tmp_path_factory.mktemp("shared") / "runs"), {}

    def run_of(case: str) -> Run:
        if case not in made:
            made[case] = store.create(f"shared-{len(made)}", spec_of(IN_FULL, *FSDP_CASES[case], SHARED))
            child.finished(made[case], child.fork_ranks)
        return made[case]

    return run_of


def unfinished(run: Run, store: RunStore) -> Run:
    """A copy of the run, as if it had been killed before final/ was written."""
    again = Run(shutil.copytree(run.folder, store.root / "again"))
    shutil.rmtree(again.final)
    lines = again.events.path.read_text().splitlines(keepends=True)
    told = ("trained", "finished")
    again.events.path.write_text("".join(each for each in lines if json.loads(each)["event"] not in told))
    return again


@pytest.mark.parametrize("case", FSDP_CASES)
def test_two_that_share_the_weights_make_the_steps_of_one_resume_exactly_and_save_them_whole(
    sharing_weights, straight, store, case
):
    run = sharing_weights(case)
    same_training(run, straight(IN_FULL, *FSDP_CASES[case]))
    newest, damaged = checkpoints.latest(run.checkpoints)
    assert not damaged and (newest / "pytorch_model_fsdp_0").is_dir()

    again = unfinished(run, store)
    shutil.rmtree(newest_of(again))  # back to the one before
    child.finished(again, child.fork_ranks)
    assert losses(again) == losses(run)
    ours, theirs = weights(again), weights(run)
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


def test_shared_weights_are_saved_whole_when_final_was_all_that_was_missing(sharing_weights, store):
    run = sharing_weights("full, computed twice")
    again = child.finished(unfinished(run, store), child.fork_ranks)
    assert again.progress().step == run.progress().step
    ours, theirs = weights(again), weights(run)
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


def newest_of(run: Run):
    return checkpoints.latest(run.checkpoints)[0]


def on_machines(run: Run) -> list[str]:
    """What the machines said: each line of the plan's, started here as if here were a machine."""
    port = free_port()
    environment = jobs.child_environment() | {"OMP_NUM_THREADS": "1"}
    machines = [
        subprocess.Popen(
            [sys.executable, "-m", "accelerate.commands.launch", *shlex.split(line)[2:]],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for line in launching.commands(run.spec, str(run.folder), "127.0.0.1", port)
    ]
    said = [each.communicate(timeout=200)[0].decode() for each in machines]
    assert [each.returncode for each in machines] == [0, 0], said
    return said


def test_two_machines_started_by_accelerate_make_the_steps_of_one_process(spec_of, straight, store):
    case = CASES["lora, padded"]
    run = store.create("far", spec_of(*case, {"compute": {"processes": 2, "machines": 2, "threads": 1}}))
    with pytest.raises(RunError, match="is for 2 machines.*\n.*--machine_rank 0.*\n.*--machine_rank 1"):
        jobs.start(run)
    on_machines(run)
    assert run.progress().state == "finished" and len(run.progress().steps) == 16
    same_training(run, straight(*case))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
