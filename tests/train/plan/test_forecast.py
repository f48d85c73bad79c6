"""What `atelier plan` says, to people and to programs."""

import json
import os
import socket
import subprocess
import sys
import threading

from core.cli import main
from core.runs.jobs import ROOT


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
