"""What `atelier plan` says, to people and to programs."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sentencepiece import SentencePieceTrainer
from transformers import AutoConfig

from core.cli import main
from core.presets import FABLE, SAMPLES, resolve
from core.runs.jobs import ROOT
from core.train import device
from core.train.attention import can_pack
from core.train.base import known_shape
from core.train.plan import shape_of
from tests.hub import Hub
from tests.hub.store import File
from tests.train.shapes import CONFIGS, REFUSED


def test_a_plan_says_steps_memory_time_and_verdict(capsys):
    assert main(["plan", "sample:fables-en", "--compute.threads", "1"]) == 0
    said = capsys.readouterr().out
    for words in ("steps of 16 examples", "optimizer", "Disk:", "Time: about", "It fits."):
        assert words in said


def test_a_model_out_of_reach_is_planned_from_the_list_and_its_tokens_are_guessed(capsys):
    asked = ["plan", "sample:fables-en", "--model.base", "llama3.1:8b", "--compute.memory-gb", "6", "--json"]
    assert main(asked) == 1  # it would be refused
    seen = json.loads(capsys.readouterr().out)
    assert seen["parameters"] == 8_030_261_248 and seen["tokens_guessed"]
    assert seen["verdict"] == "does not fit" and "compute.memory_gb" in seen["refusal"]


def test_a_layer_that_the_model_does_not_have_is_refused_with_those_it_has(capsys):
    asked = ["plan", "sample:fables-en", "--method.kind", "lora", "--method.target-modules", "c_attn"]
    assert main(asked) == 2
    said = capsys.readouterr().err
    assert "no linear layer 'c_attn'" in said and "q_proj" in said


def test_a_hub_that_does_not_answer_is_asked_once(tmp_path):
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as deaf:

        def hang_up():
            while True:
                try:
                    caller, _ = deaf.accept()
                except OSError:
                    return
                calls.append(caller)
                caller.close()

        threading.Thread(target=hang_up, daemon=True).start()
        alone = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
        asked = subprocess.run(
            [sys.executable, "-m", "core", "plan", "sample:fables-en", "--model.base", "llama3.2:1b"],
            cwd=ROOT,
            env=alone
            | {"HF_ENDPOINT": f"http://127.0.0.1:{deaf.getsockname()[1]}", "HF_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
    assert "1.24 billion parameters" in asked.stdout and "guessed from letters" in asked.stdout
    assert len(calls) == 1


def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(capsys):
    assert main(["plan", "sample:fables-en", "--model.base", "./nothing-here"]) == 2
    assert "There is no folder ./nothing-here" in capsys.readouterr().err


PLAN = """
import sys
from core.cli import main
status = main(["plan", *sys.argv[1:], "--json"])
print([name for name in ("torch", "transformers", "trl", "peft", "datasets", "accelerate") if name in sys.modules])
raise SystemExit(status)
"""


def planned(*arguments: str, **environment: str) -> tuple[dict, list[str]]:
    """The plan that a process of its own makes, and what it loads for it that takes seconds."""
    done = subprocess.run(
        [sys.executable, "-c", PLAN, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    *seen, loaded = done.stdout.splitlines()
    return json.loads("\n".join(seen)), json.loads(loaded.replace("'", '"'))


def test_only_what_was_never_planned_loads_more_than_a_plan_needs(tmp_path):
    mine = tmp_path / "mine.jsonl"
    mine.write_text('{"prompt": "Whither?", "completion": "Thither."}\n' * 3)
    place = {"ATELIER_CACHE": str(tmp_path)}
    first, loaded = planned("sample:fables-en", **place)
    assert "torch" in loaded and not {"trl", "peft", "datasets"} & {*loaded}
    again, loaded = planned("sample:fables-en", **place)
    assert loaded == [] and again["choices"] == first["choices"] and again["stops"] == first["stops"]
    lora, loaded = planned("sample:fables-en", "--method.kind", "lora", "--train.epochs", "3", **place)
    assert loaded == [] and lora["tokens"] == first["tokens"] and lora["trainable"] < first["trainable"]
    _, loaded = planned(str(mine), "--data.held-out-fraction", "0", **place)
    assert loaded == ["transformers"]


@pytest.fixture
def base(tmp_path) -> Path:
    """The embedded base without its weights, which no plan needs."""
    folder = tmp_path / "base"
    shutil.copytree(FABLE, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


def plan_here(capsys, *arguments: str) -> dict:
    assert main(["plan", "sample:fables-en", "--compute.threads", "1", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_base_or_tokenizer_that_is_replaced_in_its_place_is_planned_anew(base, capsys):
    before = plan_here(capsys, "--model.base", str(base))
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    smaller = plan_here(capsys, "--model.base", str(base))
    assert smaller["parameters"] < before["parameters"] and smaller["tokens"] == before["tokens"]
    SentencePieceTrainer.train(
        input=str(SAMPLES / "fables-en.jsonl"), model_prefix=str(base / "tokenizer"), vocab_size=400
    )
    assert plan_here(capsys, "--model.base", str(base))["tokens"] != before["tokens"]


def test_another_length_or_template_is_counted_anew(capsys):
    whole = plan_here(capsys)
    short = plan_here(capsys, "--train.max-length", "40")
    assert whole["cut_rows"] == 0 < short["cut_rows"] and short["longest"] == 40
    assert plan_here(capsys, "--template.kind", "plain")["tokens"] != whole["tokens"]


@pytest.mark.parametrize("name", ["llama", "gpt2", "experts", "caps"])
def test_what_is_kept_of_a_base_is_what_transformers_says_of_it(name, tmp_path, monkeypatch):
    config = (CONFIGS | REFUSED)[name]
    config.save_pretrained(tmp_path)
    spec = resolve("tiny", overrides={"model": {"base": str(tmp_path)}})
    said = shape_of(AutoConfig.from_pretrained(tmp_path).to_dict()), can_pack(config)
    assert known_shape(spec) == said
    monkeypatch.setattr("core.train.base._looked_at", None)
    assert known_shape(spec) == said


def test_a_layer_that_is_not_there_is_refused_though_the_base_is_known(base, capsys):
    asked = ["--model.base", str(base), "--method.kind", "lora", "--method.target-modules"]
    assert plan_here(capsys, *asked, "q_proj")["method"] == "lora"
    for _ in range(2):
        assert main(["plan", "sample:fables-en", *asked, "c_attn"]) == 2
        assert "no linear layer 'c_attn'" in capsys.readouterr().err


def test_a_base_of_the_hub_is_planned_from_its_copy_when_it_is_out_of_reach_or_gated(hub: Hub, base):
    repo = hub.add_repo("ada/small", private=False)
    files = [path for path in base.iterdir() if path.is_file()]
    repo.commit("main", {path.name: File(path.read_bytes()) for path in files}, "", author="ada")
    asked = ["sample:fables-en", "--model.base", "ada/small", "--compute.threads", "1"]
    first, _ = planned(*asked, **hub.environment())
    assert first["base"] == "ada/small" and first["tokens_guessed"] is None
    for changed in ({"HF_HUB_OFFLINE": "1"}, {}):
        again, loaded = planned(*asked, **hub.environment() | changed)
        assert loaded == [] and again["tokens"] == first["tokens"]
        assert again["parameters"] == first["parameters"]
        repo.gated = True


def test_a_damaged_speed_is_measured_again(tmp_path, monkeypatch):
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path))
    device._speed(None, 1, False)
    (written,) = tmp_path.glob("*/speed/*/*.json")
    written.write_text("")  # as a power cut leaves it
    found = device._speed(None, 1, False)
    assert found["bandwidth"] > 0 and json.loads(written.read_text()) == found


def test_a_speed_that_nothing_surpasses_is_measured_more_and_more_seldom(tmp_path, monkeypatch):
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path))
    now, speed, measured = [1e9], [1.0], []
    monkeypatch.setattr(time, "time", lambda: now[0])

    def measure(gpu: object, threads: int) -> dict:
        measured.append(now[0])
        flops = {"float32": speed[0], "bfloat16": 2 * speed[0]}
        return {"since": now[0], "at": now[0], "flops": flops, "bandwidth": 1.0, "bfloat16_is_fast": True}

    monkeypatch.setattr(device, "_measured", measure)

    def in_an_hour(training: bool = False) -> tuple[int, float]:
        """How often it is measured where somebody asks every minute, and what is known then."""
        before = len(measured)
        for _ in range(60):
            now[0] += 60
            found = device._speed(None, 1, training)
        return len(measured) - before, found["flops"]["float32"]

    assert [in_an_hour() for _ in range(3)] == [(4, 1), (1, 1), (1, 1)]
    speed[0] = 10.0  # what else ran has ended
    assert [in_an_hour() for _ in range(3)] == [(3, 10), (2, 10), (1, 10)]
    speed[0] = 5.0
    assert in_an_hour(training=True) == (6, 10)
