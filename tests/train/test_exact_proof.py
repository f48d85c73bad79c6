"""What `prove-resume` and `reproduce` say, and where the time to the first step goes."""

import dataclasses
import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from core.cli import main
from core.errors import RunError
from core.runs import Run, RunStore
from core.runs.events import Begun, Queued, Staged, Started
from core.spec import merge
from core.train import prove, start
from core.train.reproduce import again, compare, weight_difference
from tests.conftest import LORA
from tests.train import child
from tests.train.test_exact_memory import step


def copied(run: Run, tmp_path, name: str) -> Run:
    return Run(shutil.copytree(run.folder, tmp_path / "runs" / name))


def test_the_proof_trains_both_ways_in_processes_of_its_own_and_leaves_nothing(straight, tmp_path):
    run, said = copied(straight(LORA), tmp_path, "poems"), tmp_path / "said.json"
    ask = ["prove-resume", "poems", "--steps", "2", "--runs", str(tmp_path / "runs"), "--json"]
    assert child.shell(ask, said, child.fork_proofs) == 0
    found = json.loads(said.read_text())
    assert found["equal"] and found["first_difference"] is None
    assert (found["steps"], found["checkpoint"], found["killed_in"]) == (4, 2, 4)
    assert list(found["losses"]) == list(found["order"]) == ["1", "2", "3", "4"]
    assert list(found["held_out"]) == ["0", "2", "4"] and list(found["weights"]) == [
        "adapter_model.safetensors"
    ]
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"poems"}
    assert [each.name for each in RunStore(tmp_path / "runs").all()] == [run.name]


def proof(**changed):
    same = {"losses": {1: (2.5, 2.5), 2: (2.25, 2.25)}, "held_out": {2: (2.0, 2.0)}, "order": {1: ("a", "a")}}
    whole = prove.Proof("poems", 2, 1, 2, **same, weights={"model.safetensors": ("f00", "f00")})
    return dataclasses.replace(whole, **changed)


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        ({"losses": {1: (2.5, 2.5), 2: (2.25, 2.251)}}, "step 2: loss 2.25 straight, 2.251 resumed"),
        ({"losses": {1: (2.5, 2.5), 2: (2.25, None)}}, "step 2: loss 2.25 straight, None resumed"),
        ({"held_out": {0: (2.0, 2.0), 2: (2.0, 2.1)}}, "step 2: held-out loss 2.0 straight, 2.1 resumed"),
        ({"order": {1: ("a", "b")}}, "step 1: data a straight, b resumed"),
        ({"weights": {"model.safetensors": ("f00", "ba4")}}, "model.safetensors: f00 straight, ba4 resumed"),
    ],
)
def test_the_first_difference_is_named_with_both_numbers(changed, first):
    found = proof(**changed)
    assert not found.equal and found.first_difference == first
    assert f"Different, first at {first}." in prove.as_text(found)


def test_two_equal_ways_are_called_so():
    assert proof().equal and "Equal, bit for bit" in prove.as_text(proof())


def test_no_proof_is_made_while_a_run_is_at_work(straight, tmp_path):
    run = copied(straight(LORA), tmp_path, "poems")
    run.events.append(Started(act="train", pid=1))
    with run.lock, pytest.raises(RunError, match="'poems' is at work"):
        prove.prove(run)


def test_a_training_that_fails_ends_the_proof_with_its_sentence(straight, tmp_path, capsys):
    run = copied(straight(LORA), tmp_path, "poems")
    spec = merge(run.spec.model_dump(mode="json"), {"model": {"base": str(tmp_path / "gone")}})
    type(run.spec).from_dict(spec).save(run.folder / "spec.yaml")
    assert main(["prove-resume", "poems", "--runs", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert "The training that was to prove it failed" in said and "gone" in said and "Traceback" not in said


@pytest.fixture
def twice(straight, tmp_path) -> tuple[Run, Run]:
    first = copied(straight(LORA), tmp_path, "poems")
    second, notes = again(first)
    assert notes == [] and second.name == "poems-again"
    assert child.train(second) == 0
    return first, second


def test_a_run_that_is_reproduced_here_is_the_same_bit_for_bit(twice):
    found = compare(*twice)
    assert found.equal and found.differences == () and found.steps == 10
    assert found.first_difference is None and found.largest_weight_difference == 0


def test_where_a_reproduction_differs_is_shown(twice):
    first, second = twice
    lines = first.events.path.read_text().splitlines()
    where = max(at for at, line in enumerate(lines) if '"step": 7,' in line and '"stepped"' in line)
    event = json.loads(lines[where])
    lines[where] = json.dumps(event | {"loss": event["loss"] + 0.5})
    first.events.path.write_text("\n".join(lines) + "\n")
    recorded = json.loads(first.manifest.read_text())
    recorded["libraries"]["torch"] = "1.0"
    first.manifest.write_text(json.dumps(recorded))
    weights = load_file(first.final / "adapter_model.safetensors")
    weights[sorted(weights)[0]].view(-1)[0] += 0.25
    save_file(weights, first.final / "adapter_model.safetensors")

    found = compare(first, second)
    assert not found.equal and found.first_difference[0] == 7
    assert found.largest_loss_difference == pytest.approx(0.5)
    assert found.largest_weight_difference == pytest.approx(0.25, rel=1e-3)
    (library,) = found.differences
    assert library.startswith("libraries torch: 1.0 then, 2.13")


def test_changed_data_are_not_reproduced_on(spec_of, store, tmp_path):
    data = tmp_path / "mine.jsonl"
    data.write_text("".join(f'{{"question": "What is {n}?", "answer": "It is {n}."}}\n' for n in range(30)))
    first = store.create("mine", spec_of({"data": {"files": [str(data)]}, "train": {"max_steps": 2}}))
    assert child.train(first) == 0
    with data.open("a") as file:
        file.write('{"question": "And?", "answer": "No."}\n')
    second, _ = again(first)
    assert child.train(second) == 1 and "mine.jsonl has changed" in second.progress().message


def test_what_was_never_trained_cannot_be_reproduced(spec_of, store):
    with pytest.raises(RunError, match="no manifest"):
        again(store.create("new", spec_of()))


def test_other_tensors_have_no_difference_in_numbers(straight):
    full = straight({"method": {"kind": "full"}})
    assert weight_difference(straight(LORA).final, full.final) is None


def test_the_parts_of_a_start_add_up_to_the_time_to_the_first_step():
    first = dataclasses.replace(step(1), at=112.0)
    marks = [Queued, Started, Staged, Staged, Begun]
    given = [
        {"act": "train"},
        {"act": "train", "pid": 1},
        {"stage": "Reading"},
        {"stage": "Loading"},
        {"total_steps": 3},
    ]
    events = [
        kind(at=100.0 + 2 * at, **each) for at, (kind, each) in enumerate(zip(marks, given, strict=True))
    ]
    assert start.parts(events) is None
    found = start.parts([*events, first, dataclasses.replace(first, at=115.0)])
    assert [name for name, _ in found] == [
        "A process and its turn",
        "Imports",
        "Reading",
        "Loading",
        "First step",
    ]
    assert sum(seconds for _, seconds in found) == 12.0


def test_a_real_start_is_told_part_by_part(straight):
    names = [name for name, _ in start.parts(straight(LORA).events.read()[0])]
    assert names[:4] == ["A process and its turn", "Imports", "Reading the examples", "Encoding the examples"]
    assert names[-2:] == ["Measuring the base", "First step"]
