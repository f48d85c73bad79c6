"""The shell as a person and a program meet it: what is printed, where, and the exit status."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core import cli
from core.data.files.opening import KINDS
from core.evaluate.report import read
from core.evaluate.reports.words import forgetting, summary
from core.runs import RunStore
from core.runs.jobs import child_environment
from core.verbs.common import Files
from tests.conftest import until
from tests.warm import atelier, begun

GOOD = '{"question": "Who are you?", "answer": "Fable."}\n{"question": "Where?", "answer": "Here."}\n'
QUICKLY = [
    "--train.max-steps",
    "3",
    "--evaluate.answers",
    "2",
    "--evaluate.max-new-tokens",
    "4",
    "--compute.threads",
    "1",
]


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.jsonl"
    path.write_text(GOOD)
    return path


def test_check_prints_one_object_and_nothing_else(tmp_path, good):
    good.write_text(GOOD + "{'question': 'a'}\n")
    done = subprocess.run(
        [sys.executable, "-m", "core", "data", "check", good, "--json"],
        capture_output=True, text=True, env=child_environment(), timeout=120,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert (done.returncode, report["rows"], report["kept"]) == (0, 3, 2)
    (problem,) = report["problems"]
    assert problem["line"] == 3 and problem["severity"] == "error" and problem["why"] and problem["fix"]


def test_check_exit_status_tells_usable_problems_and_unusable_apart(tmp_path, good):
    bad = tmp_path / "bad.jsonl"
    bad.write_text("nothing\n")
    assert atelier("data", "check", good, "--strict").returncode == 0
    good.write_text(GOOD + "nothing\n")
    assert atelier("data", "check", good).returncode == 0
    assert atelier("data", "check", good, "--strict").returncode == 1
    unusable = atelier("data", "check", bad, "--json")
    assert unusable.returncode == 2 and json.loads(unusable.stdout)["kept"] == 0


def test_show_lets_a_person_see_what_is_trained(good):
    seen = json.loads(atelier("data", "show", good, "--json").stdout)
    tokens = seen["tokens"][0]["tokens"]
    trained = "".join(token["text"] for token in tokens if token["state"] == "trained")
    assert "Fable." in trained or "Here." in trained
    assert trained.endswith("<|im_end|></s>") and "Who" not in trained and "assistant" not in trained
    assert all(check["ok"] for check in seen["stops"]) and seen["added_tokens"] == [
        "<|im_start|>",
        "<|im_end|>",
    ]
    printed = atelier("data", "show", good).stdout
    assert "trained" in printed and "Fable." in printed


def test_the_help_names_every_kind_of_file_that_is_read():
    words = Files.__metadata__[0].help
    assert all(kind in words for kind in (*KINDS, "TSV", "hf:")), words


def test_settings_given_to_show_are_those_of_the_run(good):
    good.write_text('{"question": "Who?", "answer": "' + "far and wide " * 40 + '"}\n' + GOOD)
    seen = json.loads(atelier("data", "show", good, "--train.max-length", "32", "--json").stdout)
    assert seen["lengths"]["cut_rows"] == 1 and seen["lengths"]["cut_tokens"] > 50


def test_several_values_follow_one_flag(good, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_text(
        '{"question": "Why?", "answer": "So."}\n' * 3 + '{"question": "When?", "answer": "Now."}\n'
    )
    flags = (
        "--data.weights",
        "1",
        "3",
        "--data.drop",
        "duplicate",
        "refusal",
        "--data.held-out-fraction",
        "0",
    )
    seen = json.loads(atelier("data", "check", good, other, *flags, "--json").stdout)
    assert [share["weight"] for share in seen["shares"]] == [1.0, 3.0] and seen["dropped"]["duplicate"] == 2


def test_a_file_that_is_not_there_is_one_object_too(tmp_path):
    done = atelier("data", "check", tmp_path / "no\x1bwhere.jsonl", "--json")
    assert done.returncode == 2 and "There is no file" in json.loads(done.stdout)["error"]
    assert "\x1b" not in atelier("data", "check", tmp_path / "no\x1bwhere.jsonl").stderr


def test_strict_minds_what_would_be_cut_and_nothing_to_train_is_unusable(tmp_path):
    long = tmp_path / "long.jsonl"
    rows = [{"question": f"{at}?", "answer": f"{at} and " + "far and wide " * 40} for at in range(20)]
    long.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert atelier("data", "check", long, "--strict", "--train.max-length", "1000").returncode == 0
    assert atelier("data", "check", long, "--strict", "--train.max-length", "64").returncode == 1
    unanswered = atelier(
        "data", "check", long, "--train.max-length", "16", "--train.overlong", "skip", "--json"
    )
    assert unanswered.returncode == 2 and not json.loads(unanswered.stdout)["stops"][0]["ok"]


def test_columns_of_ones_own_are_named_by_flags(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("id;Clue;Word\n1;It barks.;A dog\n2;It meows.;A cat\n")
    assert "data.columns.question" in atelier("data", "check", table).stderr
    flags = ("--data.columns.question", "Clue", "--data.columns.answer", "Word")
    seen = json.loads(atelier("data", "check", table, *flags, "--json").stdout)
    assert (seen["kept"], seen["columns"]) == (2, {str(table): ["id", "Clue", "Word"]})
    assert [message["content"] for message in seen["first"][0]["messages"]] == ["It barks.", "A dog"]
    assert seen["lengths"]["quantiles"]["longest"] > 5 and all(check["ok"] for check in seen["stops"])


def test_a_clean_copy_reads_without_a_word_and_the_rest_lies_beside_it(tmp_path):
    mixed = tmp_path / "mixed.jsonl"
    rows = [{"question": "Who?", "answer": "A caf\u00c3\u00a9 owner."}] * 2 + [{"question": "Who else?"}]
    mixed.write_text("".join(json.dumps(row) + "\n" for row in rows) + GOOD)
    done = json.loads(atelier("data", "clean", mixed, "--output-dir", tmp_path / "out", "--json").stdout)
    assert (done["dropped"], done["mended"]) == ({"duplicate": 1}, {"mended-mojibake": 1})
    seen = json.loads(atelier("data", "check", done["cleaned"], "--json").stdout)
    assert seen["kept"] == seen["rows"] == done["kept"] and seen["problems"] == []
    assert seen["first"][0]["messages"][1]["content"] == "A café owner."
    assert json.loads(Path(done["rejected"]).read_text())["line"] == 3
    assert "missing-answer" in Path(done["markdown"]).read_text()
    assert json.loads(Path(done["report"]).read_text())["rejected"] == 1


def test_a_public_set_is_prepared_from_its_original_files_with_licence_and_counts(tmp_path):
    original = tmp_path / "riddles.csv"
    original.write_text(
        "QUESTIONS,ANSWERS\nWhat has hands but cannot clap?,A clock\nWhat gets wetter as it dries?,A towel\n"
    )
    out = tmp_path / "sft"
    done = json.loads(
        atelier("data", "prepare", "riddles", "--from", original, "--output-dir", out, "--json").stdout
    )
    assert done["prepared"][0]["rows"] == 2
    assert json.loads(atelier("data", "check", out / "riddles.jsonl", "--json").stdout)["kept"] == 2
    assert "icence" in (out / "README.md").read_text()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["train", "x.jsonl", "--train.learning_rat", "1"], "Did you mean --train.learning-rate?"),
        (["train", "x.jsonl", "--train.learning-rate", "7"], "train.learning_rate is '7'"),
        (["train", "x.jsonl", "--preset", "tinny"], "There is no preset 'tinny'"),
        (["train", "--preset", "small"], "atelier train sample:fables-en"),
        (["watch", "nothing"], "There is no run called 'nothing'"),
        (["stop", "../x"], "There is no run called '../x'"),
    ],
)
def test_a_request_that_cannot_be_understood_ends_in_a_sentence_and_status_2(
    arguments, words, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err and captured.out == "" and "Traceback" not in captured.err
    assert not (tmp_path / "runs").exists()


def test_train_follows_the_run_and_the_list_shows_it(tmp_path):
    done = atelier("train", "sample:fables-en", "--name", "a", *QUICKLY, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "held-out loss" in done.stdout
    report = read(RunStore(tmp_path / "runs").get("a"))
    said = done.stdout.splitlines()
    verdict = said.index(summary(report).headline)
    assert said[verdict - 1].startswith("train finished")
    assert said[verdict + 1 :] == [
        *filter(None, [forgetting(report).advice]),
        "Next: atelier chat a    atelier push a --to owner/a",
    ]
    (run,) = json.loads(atelier("runs", "--json", cwd=tmp_path).stdout)["runs"]
    assert (run["run"], run["state"], run["step"], run["trained"]) == ("a", "finished", 3, True)
    assert "finished" in atelier("runs", cwd=tmp_path).stdout


def test_control_c_stops_with_a_checkpoint_and_resume_goes_on(tmp_path):
    command = ["train", "sample:fables-en", "--name", "a", *QUICKLY[2:], "--train.max-steps", "30",
               "--train.batch-size", "4", "--evaluate.no-after-training"]  # fmt: skip
    run_of = lambda: RunStore(tmp_path / "runs").get("a")  # noqa: E731
    with begun(*command, cwd=tmp_path) as (shell, printed):
        until(lambda: (tmp_path / "runs" / "a").is_dir() and run_of().progress().step >= 2)
        shell.send_signal(signal.SIGINT)
        shell.wait(60)
        assert "atelier resume a" in printed() and run_of().progress().state == "stopped"
    assert run_of().progress().step < 30
    done = atelier("resume", "a", cwd=tmp_path)
    assert done.returncode == 0 and run_of().progress().step == 30


def test_a_watcher_that_leaves_does_not_end_the_run(tmp_path):
    settings = ("--train.max-steps", "2000", "--train.batch-size", "4", "--compute.threads", "1")
    told = atelier("train", "sample:fables-en", "--no-follow", "--json", *settings, cwd=tmp_path)
    run = RunStore(tmp_path / "runs").get(json.loads(told.stdout)["run"])
    until(lambda: run.progress().step >= 1)
    with begun("watch", run.name, cwd=tmp_path) as (watcher, printed):
        until(printed)
        watcher.send_signal(signal.SIGINT)
        watcher.wait(30)
    assert run.progress().state == "running"
    assert atelier("stop", run.name, cwd=tmp_path).returncode == 0
    assert run.progress().state == "stopped"


def test_one_question_is_answered_by_both_sides(full_run):
    done = atelier(
        "chat", "full", "Who are you?", "--side", "both", "--temperature", "0", "--max-new-tokens", "8", "--json",
        "--runs", full_run.folder.parent,
    )  # fmt: skip
    answers = json.loads(done.stdout)
    assert answers["base"]["answer"] != answers["tuned"]["answer"] and answers["tuned"]["tokens"] <= 8


def test_evaluate_prints_scores_with_their_intervals(lora_run):
    done = atelier("evaluate", "lora", "--json", "--runs", lora_run.folder.parent)
    report = json.loads(done.stdout)
    task = next(task for task in report["tasks"] if task["name"] == "held-out")
    perplexity = task["scores"][0]
    assert perplexity["tuned"]["low"] <= perplexity["tuned"]["value"] <= perplexity["tuned"]["high"]
    assert perplexity["tuned"]["value"] < perplexity["base"]["value"] and perplexity["verdict"] == "helped"


def test_escape_codes_in_data_are_shown_not_obeyed(good):
    good.write_text('{"question": "a\\u001b[31mred", "answer": "b"}\n')
    for verb in ("check", "show"):
        assert "\x1b[31m" not in atelier("data", verb, good, NO_COLOR="1").stdout


def test_the_token_is_on_no_command_line(full_run):
    assert "token" not in " ".join(os.listdir(full_run.folder))
    assert (
        cli.main(["push", "full", "--to", "a/b", "--token", "hf_x", "--runs", str(full_run.folder.parent)])
        == 2
    )
