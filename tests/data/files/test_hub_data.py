"""Data sets on the Hub: really downloaded by the library, from a hub on loopback; or one sentence why not."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.hub import Hub
from tests.hub.store import File, Repo

ROOT = Path(__file__).parents[3]
ROWS = [{"question": f"Why {n}?", "answer": f"So {n}."} for n in range(3)]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)

# The client reads its settings when it is imported, so names are opened in an interpreter of their own.
CHILD = """
import json, os, sys
from core.data.files.opening import opened
from core.errors import DataError

for line in sys.stdin:
    name, token = json.loads(line)
    os.environ["HF_TOKEN"] = token or ""
    try:
        source = opened(name)
        answer = [source.kind, source.sha256, [list(read) for read in source.rows()]]
    except DataError as error:
        answer = str(error)
    print(json.dumps(answer), flush=True)
"""


class Child:
    def __init__(self, hub: Hub, log: Path, **environment: str):
        self.hub = hub
        self.log = log
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            env=os.environ | hub.environment() | {"PYTHONPATH": str(ROOT)} | environment,
            cwd=log.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )

    def open(self, name: str, token: str | None = None) -> list | str:
        """Kind, commit and rows; or the sentence."""
        self.process.stdin.write(json.dumps([name, token]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.log.read_text()
        assert not any(secret in answer for secret in self.hub.tokens)
        return json.loads(answer)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running


@pytest.fixture(scope="module")
def child(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    child = Child(hub, tmp_path_factory.mktemp("child") / "log")
    yield child
    child.end()


@pytest.fixture
def repo(hub: Hub) -> Callable[..., Repo]:
    def add(id: str, private: bool = False, **files: bytes) -> Repo:
        repo = hub.add_repo(id, type="datasets", private=private)
        tree = repo.head.tree | {path: File(content) for path, content in files.items()}
        repo.commit("main", tree, "Add the data", author="ada")
        return repo

    return add


def test_a_data_set_is_downloaded_and_its_commit_is_told(child, repo):
    made = repo("ada/poems", **{"train.jsonl": LINES, "test.jsonl": LINES[:0] + LINES})
    kind, commit, rows = child.open("ada/poems")
    assert (kind, commit) == ("Hub data set", made.head.id)
    assert rows == [[number, row, []] for number, row in enumerate(ROWS, 1)]
    assert child.open("hf:ada/poems?split=test")[2] == rows


def test_nested_columns_of_parquet_are_plain_rows(child, repo):
    messages = [[{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Ho."}]]
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"messages": messages}), sink)
    repo("ada/chats", **{"data/train-00000-of-00001.parquet": sink.getvalue()})
    assert child.open("ada/chats")[2] == [[1, {"messages": messages[0]}, []]]


def test_a_revision_is_that_one_even_if_there_is_a_newer(child, repo):
    made = repo("ada/edited", **{"train.jsonl": LINES})
    old = made.head
    made.tags["v1"] = old.id
    made.commit("main", old.tree | {"train.jsonl": File(LINES * 2)}, "More", author="ada")
    assert [len(child.open(f"ada/edited?revision={each}")[2]) for each in ("v1", old.id, "main")] == [3, 3, 6]
    assert child.open("ada/edited?revision=v1")[1] == old.id


def test_without_a_train_split_the_others_are_named(child, repo):
    repo("ada/only-test", **{"test.jsonl": LINES})
    sentence = child.open("ada/only-test")
    assert "no split `train`, but `test`: write ada/only-test?split=test" in sentence


def test_subsets_are_named_and_chosen(child, repo):
    card = b"---\nconfigs:\n- config_name: fr\n  data_files: fr.jsonl\n- config_name: en\n  data_files: en.jsonl\n---\n"
    repo("ada/tongues", **{"README.md": card, "fr.jsonl": LINES, "en.jsonl": LINES * 2})
    assert "write ada/tongues?subset= and one of `fr` and `en`" in child.open("ada/tongues")
    assert "no subset `de`, but `fr` and `en`" in child.open("ada/tongues?subset=de")
    assert len(child.open("ada/tongues?subset=en")[2]) == 6


def test_code_of_a_data_set_is_never_run(child, repo, tmp_path):
    made = tmp_path / "was-run"
    repo("ada/script", **{"script.py": f"open({str(made)!r}, 'w')".encode()})
    assert "is made by code of its own, which is not run" in child.open("ada/script")
    assert not made.exists()


def test_a_folder_here_is_not_taken_for_the_data_set_of_the_same_name(child, repo):
    folder = child.log.parent / "bob" / "poems"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_bytes(b'{"text": "not these"}\n')
    repo("bob/poems", **{"train.jsonl": LINES})
    assert [row for _, row, _ in child.open("hf:bob/poems")[2]] == ROWS
    repo("bob/others", **{"train.jsonl": LINES})
    assert "if a data set on the Hub is meant, write hf:bob/others" in child.open("bob/others")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ada/nothing", "does not exist, nor does a file here called so"),
        ("ada/empty", "holds no data files"),
        ("ada/broken", "cannot be loaded: JSON parse error"),
        ("ada/empty?revision=v9", "has no such revision"),
    ],
)
def test_what_cannot_be_loaded_ends_in_one_sentence(child, repo, name, sentence):
    repo("ada/empty")
    repo("ada/broken", **{"train.jsonl": b'{"a": 1}\n{"a": \n'})
    answer = child.open(name)
    assert sentence in answer
    assert answer.isprintable()


def test_a_private_data_set_is_read_with_a_token_only(child, repo, hub):
    repo("ada/secret", private=True, **{"train.jsonl": LINES})
    assert "if it is private, set HF_TOKEN" in child.open("ada/secret")
    assert "does not accept your token" in child.open("ada/secret", hub.expired)
    assert len(child.open("ada/secret", hub.writer)[2]) == 3


def test_a_gated_data_set_says_that_its_conditions_must_be_accepted(child, repo, hub):
    repo("ada/gated", **{"train.jsonl": LINES}).gated = True
    for token in (None, hub.other):
        assert "accepted its conditions" in child.open("ada/gated", token)


def test_without_a_network_the_cache_is_used_or_missed_in_one_sentence(child, repo, hub, tmp_path):
    made = repo("ada/cached", **{"train.jsonl": LINES})
    child.open("ada/cached")
    offline = Child(hub, tmp_path / "log", HF_HUB_OFFLINE="1")
    assert offline.open("ada/cached")[1:] == [made.head.id, [[n, row, []] for n, row in enumerate(ROWS, 1)]]
    assert "is in the cache in another revision" in offline.open("ada/cached?revision=v7")
    assert "nothing is downloaded while HF_HUB_OFFLINE is set" in offline.open("ada/elsewhere")
    offline.end()
    unreachable = Child(hub, tmp_path / "log", HF_ENDPOINT="http://127.0.0.1:9")
    assert "the Hub cannot be reached" in unreachable.open("ada/cached")
    unreachable.end()
