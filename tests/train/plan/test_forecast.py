"""What `atelier plan` says, to people and to programs."""

import json

from core.cli import main


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
