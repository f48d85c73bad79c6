"""Whatever goes wrong, and wherever: a reader sees the old state or the whole new one, one commit is made, one sentence said."""

from pathlib import Path
from typing import Any

import pytest

from tests.hub import Hub
from tests.hub.wire import ALWAYS
from tests.publish.pushing import Child, Outcome

FILES = {
    "model": {
        "README.md": b"# Poems\n",
        "adapter_config.json": b"{}",
        "adapter_model.safetensors": bytes(9000),
    },
    "dataset": {
        "README.md": b"# Poems\n",
        "data/train.jsonl": b'{"a": 1}\n',
        "data/test.parquet": bytes(9000),
    },
    "gguf": {"README.md": b"# Poems\n", "poems-q8_0.gguf": b"GGUF" + bytes(9000), "Modelfile": b"FROM poems"},
}
WHERE = {
    "asking": ("GET", "whoami"),
    "creating": ("POST", "/repos/create"),
    "announcing": ("POST", "/preupload/"),
    "asking where to": ("POST", "/objects/batch"),
    "sending": ("PUT", "/storage/"),
    "committing": ("POST", "/commit/"),
    "looking again": ("POST", "/paths-info/"),
    "reading again": ("GET", "/resolve/"),
}
# What lasts is told in these words, wherever it happens.
SAID = {
    401: "(401), it is wrong, revoked or expired",
    403: "403",
    409: "409",
    412: "412",
    429: "too many requests",
    500: "trouble of its own (500",
    503: "trouble of its own (503",
    "proxy-page": "trouble of its own (502",
    "drop": "the connection broke off",
    "drop-mid-body": "the connection broke off",
    "slow": "was silent for",
    "expire": "(401), it is wrong, revoked or expired",
}
PASSING = (409, 412, 429, 500, 503, "proxy-page", "drop", "drop-after", "drop-mid-body", "slow")


@pytest.fixture(params=list(FILES))
def push(request, tmp_path: Path) -> dict[str, Any]:
    """The arguments of a push of each kind of thing that leaves the house."""
    sources = {}
    for name, content in FILES[request.param].items():
        sources[name] = tmp_path / name
        sources[name].parent.mkdir(exist_ok=True)
        sources[name].write_bytes(content)
    return {
        "repo_id": "ada/poems",
        "repo_type": "dataset" if request.param == "dataset" else "model",
        "uploads": {name: str(path) for name, path in sources.items()},
        "message": "Poems",
    }


def states(hub: Hub, push: dict[str, Any]) -> list[set[str]]:
    """What a reader could have seen of main, newest first; every file must be as it was sent."""
    repo = hub.repos.get((f"{push['repo_type']}s", "ada/poems"))
    if not repo:
        return []
    seen = []
    for commit in repo.history("main"):
        for name, source in push["uploads"].items():
            assert name not in commit.tree or commit.tree[name].content == Path(source).read_bytes()
        seen.append(set(commit.tree) - {".gitattributes"})
    return seen


def begin(hub: Hub, where: str, kind: int | str, times: float) -> None:
    hub.begin()
    method, path = WHERE[where]
    seconds = 5 if kind == "slow" else 0
    hub.fault(method, path, kind, times=times, seconds=seconds, retry_after=1 if kind == 429 else None)


def pushed(child: Child, hub: Hub, push: dict[str, Any]) -> Outcome:
    [outcome] = child.run(push, token=hub.writer, answer_seconds=0.3)
    assert hub.writer not in str(outcome)
    return outcome


def places(kind: int | str) -> list[str]:
    if kind == "slow":  # each of these costs seconds
        return ["committing"]
    if kind == "drop-mid-body":
        return ["sending", "committing", "reading again"]
    if kind in (409, 412, "expire"):  # a repo that is there already answers 409, which is well
        return ["announcing", "committing", "looking again"]
    return list(WHERE)


@pytest.mark.parametrize("kind", list(SAID), ids=str)
def test_what_lasts_is_one_sentence_and_leaves_the_old_state_or_the_whole_new_one(
    shared_hub, child, push, kind
):
    whole = set(push["uploads"])
    for where in places(kind):
        if where == "sending" and kind in (401, 403):
            continue  # storage knows no token
        begin(shared_hub, where, kind, ALWAYS)
        outcome = pushed(child, shared_hub, push)
        assert outcome.sentence and SAID[kind] in outcome.sentence, (where, outcome)
        assert "\n" not in outcome.sentence and outcome.sentence.endswith(".")
        seen = states(shared_hub, push)
        assert seen in ([], [set()], [whole, set()]), where
        assert (whole in seen) == where.endswith("again"), where
        shared_hub.faults.clear()
        if kind == "expire":
            for token in shared_hub.tokens.values():
                token.expired = False
        sent = shared_hub.requests("PUT", "/storage/")
        assert pushed(child, shared_hub, push).sentence is None, where
        assert states(shared_hub, push) == [whole, set()], where
        if where in ("committing", "looking again", "reading again"):
            assert shared_hub.requests("PUT", "/storage/") == sent, f"sent twice after {where}"


@pytest.mark.parametrize("kind", PASSING, ids=str)
def test_what_passes_is_waited_out_and_makes_one_commit(shared_hub, child, push, kind):
    for where in [*places(kind), *(["committing", "creating"] if kind == "drop-after" else [])]:
        begin(shared_hub, where, kind, 1)
        outcome = pushed(child, shared_hub, push)
        assert outcome.sentence is None, (where, outcome.sentence)
        assert states(shared_hub, push) == [set(push["uploads"]), set()], where
