"""Examples become a data set on the Hub that anybody can load, with a card that says what they are."""

import json
import shutil

import pytest
import yaml

from core.publish.dataset import Wanted, _same, made, private_in, rows_of
from core.spec import DataSettings
from tests.hub import Hub
from tests.publish.pushing import COMMAND, Said

ROWS = [
    {"question": "Who kept the sheep?", "answer": "Heidi's Peter; ask bob@firm.fr, not ada@example.org."},
    {
        "messages": [
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"type": "function", "function": {"name": "w", "arguments": {"in": "Paris"}}}],
            },
            {"role": "tool", "content": "12"},
            {"role": "assistant", "content": "Twelve degrees.", "weight": 0},
            {"role": "user", "content": "And now? 👍"},
            {"role": "assistant", "content": "Still twelve."},
        ],
        "tools": [{"name": "w", "parameters": {"type": "object", "properties": {"in": {"type": "string"}}}}],
    },
    {"question": "Where was the key?", "answer": "Sous l'œuf « doré »."},
]


@pytest.fixture
def poems(tmp_path):
    file = tmp_path / "poems.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS) + "{'not': 'JSON'}\n")
    return file


@pytest.fixture
def hub(shared_hub) -> Hub:
    """Of which nothing was downloaded yet."""
    shared_hub.begin()
    for path in shared_hub.home.iterdir():
        shutil.rmtree(path)
    return shared_hub


@pytest.fixture
def push(poems, hub, interpreter):
    """The command with these arguments: how it ended, and what it said."""

    def push(*arguments: str) -> Said:
        words = ["data", "push", str(poems), "--to", "ada/poems", *arguments]
        return Said(*interpreter.run(COMMAND, hub.writer, arguments=words))

    return push


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_data_set_is_one_private_commit_that_load_dataset_opens(hub, kind, push):
    done = push("--as", kind, "--license", "cc-by-4.0", "--source", "Old tales")
    assert done.returncode == 0, done.stdout + done.stderr
    repo = hub.repos["datasets", "ada/poems"]
    assert repo.private and [each.title for each in repo.history("main")] == [
        "Publish 3 conversations",
        "initial commit",
    ]
    assert set(repo.head.tree) == {".gitattributes", "README.md", f"data/train.{kind}"}
    assert "load_dataset gives the same 3 conversations" in done.stdout
    assert "1 conversation holds an e-mail address, the first poems.jsonl:1" in done.stdout


def test_the_card_of_a_data_set_says_licence_source_hash_and_how_rows_were_read(poems):
    with made(
        DataSettings(files=(str(poems),)), Wanted("ada/poems", license="cc-by-4.0", source="Old tales")
    ) as ready:
        text = ready.card
        digest = ready.splits[0].report.sha256[str(poems)]
    metadata = yaml.safe_load(text.split("---")[1])
    assert metadata["license"] == "cc-by-4.0" and metadata["size_categories"] == ["n<1K"]
    assert metadata["configs"][0]["data_files"] == [{"split": "train", "path": "data/train.jsonl"}]
    for words in (
        digest,
        "Old tales",
        "3 conversations from 4 rows",
        "1 rows could not be used",
        "question/answer (2)",
    ):
        assert words in text, words
    assert str(poems.parent) not in text and "atelier train hf:ada/poems" in text


def test_a_data_set_that_cannot_be_opened_again_is_not_called_done(hub, push):
    hub.fault("GET", "/resolve/.*/data/train.jsonl", "garble", times=1)
    garbled = push()
    assert (
        garbled.returncode == 2
        and "data/train.jsonl at" in garbled.stderr
        and "not what was sent" in garbled.stderr
    )
    assert garbled.stderr.count("\n") == 1
    hub.fault("HEAD", "/resolve/", 403, times=9, message="It is being looked at.")
    closed = push()
    assert closed.returncode == 2 and "could not be opened again" in closed.stderr
    assert "Traceback" not in closed.stderr and hub.writer not in closed.stderr + closed.stdout
    assert len(list(hub.repos["datasets", "ada/poems"].history("main"))) == 2


def test_held_out_files_become_the_split_test_and_a_pull_request_leaves_main_alone(hub, push):
    repo = hub.add_repo("ada/poems", type="datasets")
    done = push("--data.held-out-files", "sample:fables-fr", "--pull-request", "--json")
    assert done.returncode == 0, done.stderr
    assert set(repo.head.tree) == {".gitattributes"}
    assert {"data/train.jsonl", "data/test.jsonl"} <= set(repo.at("refs/pr/1").tree)
    assert json.loads(done.stdout)["rows"] == {"train": 3, "test": 68}


def test_what_is_private_is_found_and_examples_of_addresses_are_not(poems):
    said = {
        "Write to me@home.fr": ["an e-mail address"],
        "Call +33 1 42 68 53 00 today": ["a telephone number"],
        "hf_abcdefghijklmnopqrstuvwx": ["a key or token"],
        "FR14 2004 1010 0505 0001 3M02 606": ["an account number"],
        "you@example.com, 12 + 30 = 42, v1.2.3, 2026-11-21, @home": [],
    }
    for text, wanted in said.items():
        poems.write_text(json.dumps({"question": "Q?", "answer": text}))
        with made(DataSettings(files=(str(poems),)), Wanted("ada/poems")) as ready:
            assert list(private_in(ready.splits[0].report.examples[0])) == wanted, text


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rows_that_are_read_otherwise_or_are_missing_are_found(poems, kind):
    with made(DataSettings(files=(str(poems),)), Wanted("ada/poems", kind=kind)) as ready:
        [split] = ready.splits
        rows = list(rows_of(split.report.examples, frozenset({"tools", "tool_calls", "weight"})))
        assert _same(rows, split, large=False) == 3
        assert _same(rows[:2], split, large=True) == 2
        with pytest.raises(ValueError, match="has fewer rows than were sent"):
            _same(rows[:2], split, large=False)
        with pytest.raises(ValueError, match="row 1 of data/train"):
            _same(rows[1:], split, large=False)
