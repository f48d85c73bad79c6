"""A push ends in exactly one commit, or in one sentence that says what to do; the token is never in it."""

import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import PublishError
from core.publish.hub import SMALL, Upload, _Repo, push
from tests.hub import Hub
from tests.hub.store import File
from tests.publish.pushing import ROOT, Child, Outcome


@pytest.fixture
def hub(shared_hub: Hub) -> Hub:
    shared_hub.begin()
    return shared_hub


@pytest.fixture
def run(child: Child) -> Callable[..., list[Outcome]]:
    return child.run


@pytest.fixture
def model(tmp_path: Path) -> dict[str, Any]:
    """The arguments of a push of two large files and two small ones."""
    contents = {
        "README.md": b"---\nlicense: mit\n---\n# Poems\n",
        "adapter_config.json": b"{}",
        "adapter_model.safetensors": bytes(100_000),
        "tokenizer.model": b"pieces",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {
        "repo_id": "ada/poems",
        "uploads": {name: str(tmp_path / name) for name in contents},
        "message": "Poems, 3 epochs",
    }


def titles(hub: Hub, id: str = "ada/poems", revision: str = "main") -> list[str]:
    return [commit.title for commit in hub.repos["models", id].history(revision)]


def address(path: Path | str) -> str:
    """Where the hub stores a large file: under its checksum."""
    return f"/storage/.*{sha256(Path(path).read_bytes()).hexdigest()}"


# It goes well


def test_a_push_is_one_private_commit_with_every_file_unchanged(hub: Hub, run, model):
    [outcome] = run(model, token=hub.writer)
    repo = hub.repos["models", "ada/poems"]
    assert titles(hub) == ["Poems, 3 epochs", "initial commit"]
    for name, source in model["uploads"].items():
        assert repo.head.tree[name].content == Path(source).read_bytes()
    assert repo.private
    assert outcome.answer == {"url": f"{hub.url}/ada/poems", "commit": repo.head.id, "created": True}
    assert outcome.said[0] == "Creating ada/poems, private."


def test_pushing_the_same_again_sends_and_commits_nothing(hub: Hub, run, model):
    first, second = run(model, model, token=hub.writer)
    assert second.answer == first.answer | {"created": False}
    assert len(titles(hub)) == 2
    assert hub.requests("PUT", "/storage/") == 2


def test_large_files_go_in_parts(hub: Hub, run, model):
    hub.part_size = 40_000
    [outcome] = run(model, token=hub.writer)
    assert outcome.sentence is None
    assert hub.requests("PUT", "/part/") == 3


def test_a_bare_name_is_ones_own_and_other_names_and_types_are_kept(hub: Hub, run, model):
    bare, guild, dataset = run(
        model | {"repo_id": "poems"},
        model | {"repo_id": "guild/poems", "private": False},
        model | {"repo_type": "dataset"},
        token=hub.writer,
    )
    assert bare.answer["url"] == f"{hub.url}/ada/poems"
    assert guild.answer["url"] == f"{hub.url}/guild/poems"
    assert dataset.answer["url"] == f"{hub.url}/datasets/ada/poems"
    assert [repo.private for repo in hub.repos.values()] == [True, False, True]


def test_a_branch_is_made_if_there_is_none_and_main_is_left_alone(hub: Hub, run, model):
    hub.fault("POST", "/branch/", "drop-after")
    first, second = run(model | {"revision": "try"}, model | {"revision": "try"}, token=hub.writer)
    assert titles(hub, revision="try") == ["Poems, 3 epochs", "initial commit"]
    assert titles(hub) == ["initial commit"]
    assert first.answer["url"] == f"{hub.url}/ada/poems/tree/try"
    assert second.answer == first.answer | {"created": False}
    assert hub.requests("POST", "/branch/") == 2, "the lost answer alone was asked for again"


def test_what_a_push_replaces_goes_in_the_same_commit_and_nothing_else_goes(hub: Hub, run, model):
    repo = hub.add_repo("ada/poems")
    stale = {
        "model-00001-of-00002.safetensors": File(b"1"),
        "notes.txt": File(b"mine"),
        "README.md": File(b"# Old"),
    }
    repo.commit("main", {**repo.head.tree, **stale}, "Earlier", author="ada")
    hub.fault("POST", "/commit/", "drop-after")
    [outcome] = run(model | {"replaces": ["*.safetensors", "README.md"]}, token=hub.writer)
    assert outcome.sentence is None
    assert set(repo.head.tree) == {".gitattributes", "notes.txt", *model["uploads"]}
    assert titles(hub) == ["Poems, 3 epochs", "Earlier", "initial commit"]
    assert "Removed in the same commit: model-00001-of-00002.safetensors." in outcome.said


def test_a_file_that_is_not_what_was_sent_is_found_by_looking_again(hub: Hub, run, model):
    hub.fault("GET", "/resolve/.*/README.md", "garble")
    spoilt, fine = run(model, model, token=hub.writer)
    assert "README.md at" in spoilt.sentence and "is not what was sent" in spoilt.sentence
    assert "looked at again and the same as here" in fine.said[-1]
    assert len(titles(hub)) == 2


def test_a_large_file_is_held_against_its_hash(hub: Hub, run, model):
    run(model, token=hub.writer)
    repo = hub.repos["models", "ada/poems"]
    weights = repo.head.tree["adapter_model.safetensors"]
    hub.fault("POST", "/paths-info/", "garble-hash")
    [outcome] = run(model, token=hub.writer)
    assert weights.sha256 and "adapter_model.safetensors" in outcome.sentence


def test_a_long_text_is_held_against_the_name_that_git_has_for_it():
    text = b"One line of many.\n" * 60_000
    said = subprocess.run(["git", "hash-object", "--stdin"], input=text, capture_output=True, check=True)
    repo, upload = _Repo("ada/poems", "model", "hf_x"), Upload("merges.txt", text)
    assert upload.size > SMALL
    for name, same in ((said.stdout.decode().strip(), True), ("0" * 40, False)):
        assert repo.arrived(upload, SimpleNamespace(lfs=None, blob_id=name), "main") is same


def test_a_pull_request_is_opened_once_however_often_it_is_tried(hub: Hub, run, model):
    hub.add_repo("bob/verses", private=False)
    hub.fault("POST", "/discussions", "drop-after")
    proposal = model | {"repo_id": "bob/verses", "create_pr": True}  # public, as its owner wants it
    first, second = run(proposal, proposal, token=hub.writer)
    assert first.answer["url"] == second.answer["url"] == f"{hub.url}/bob/verses/discussions/1"
    assert len(hub.repos["models", "bob/verses"].discussions) == 1
    assert titles(hub, "bob/verses") == ["initial commit"]
    assert titles(hub, "bob/verses", "refs/pr/1") == ["Poems, 3 epochs", "initial commit"]


def test_a_pull_request_of_others_of_another_name_or_closed_is_left_as_it_is(hub: Hub, run, model):
    repo = hub.add_repo("bob/verses", private=False)
    there = (model["message"], "bob", "draft"), ("Prose", "ada", "draft"), (model["message"], "ada", "closed")
    for title, author, status in there:
        repo.open_discussion(title, author, status=status, base=repo.head.id)
    [outcome] = run(model | {"repo_id": "bob/verses", "create_pr": True}, token=hub.writer)
    assert outcome.answer["url"].endswith("/discussions/4")
    assert [titles(hub, "bob/verses", f"refs/pr/{number}")[0] for number in range(1, 5)] == [
        *["initial commit"] * 3,
        "Poems, 3 epochs",
    ]


# Who sees it


def test_a_public_repo_takes_nothing_that_was_meant_to_be_private(hub: Hub, run, model):
    repo = hub.add_repo("ada/poems", private=False)
    refused, allowed = run(model, model | {"private": False}, token=hub.writer)
    assert "ada/poems is public and a private push was asked for, so nothing was sent" in refused.sentence
    assert allowed.answer["created"] is False
    assert not repo.private
    assert hub.requests("POST", "/commit/") == 1


def test_a_private_repo_stays_private_when_a_public_push_was_asked_for(hub: Hub, run, model):
    repo = hub.add_repo("ada/poems")
    [outcome] = run(model | {"private": False}, token=hub.writer)
    assert repo.private
    assert "ada/poems is private and stays so" in outcome.said[0]


# What the token may


def test_a_token_without_the_right_ends_in_one_sentence_before_anything_is_made(hub: Hub, run, model):
    hub.add_repo("bob/secret")
    scoped = hub.add_token("ada", role="fineGrained", guild=["repo.write"], ada=["repo.content.read"])
    cases = {
        "needs a token, and there is none": {"token": None},
        "the Hub does not accept the token (401), it is wrong, revoked or expired": {"token": "hf_wrong"},
        "it is wrong, revoked or expired; log in with": {"token": hub.expired},
        "The token of ada may only read": {"token": hub.reader},
        "'bob' is somebody else; choose ada/poems, guild/poems": {"repo_id": "bob/poems"},
        "'bob' is somebody else; choose ada/secret": {"repo_id": "bob/secret"},
        "'library' is somebody else": {"repo_id": "library/poems"},
        "may not write to the repos of ada": {"token": scoped},
        "cannot be a repo's name: write owner/name": {"repo_id": "ada/my poems"},
        "characters that no token has": {"token": f"{hub.writer[:9]} {hub.writer[9:]}"},
    }
    outcomes = run(*({**model, "token": hub.writer, **case} for case in cases.values()), token=None)
    for expected, outcome in zip(cases, outcomes, strict=True):
        assert expected in outcome.sentence
        assert "\n" not in outcome.sentence
    assert list(hub.repos) == [("models", "bob/secret")]


def test_rights_are_known_before_there_is_anything_to_push(hub: Hub, run):
    hub.add_repo("bob/open", private=False)
    scoped = hub.add_token("ada", role="fineGrained", guild=["repo.write"])
    signed_in = hub.add_token("ada", role="oauth")
    own, shared, by_scope, visitor, others = run(
        {"repo_id": "ada/poems"},
        {"repo_id": "guild/poems"},
        {"repo_id": "guild/poems", "token": scoped},
        {"repo_id": "ada/poems", "token": signed_in},
        {"repo_id": "bob/open"},
        token=hub.writer,
    )
    assert own.answer == shared.answer == by_scope.answer == visitor.answer == "ada"
    assert "'bob' is somebody else; choose ada/open, guild/open." in others.sentence
    assert {entry.method for entry in hub.log} == {"GET"}


def test_before_there_is_anything_to_push_the_repo_is_made_and_writing_is_tried_without_a_trace(
    hub: Hub, run
):
    question = {"ask": "prepare", "repo_id": "ada/poems"}
    looked, made, there = run(question | {"create": False}, question, question, token=hub.writer)
    assert looked.answer == [{"name": "ada", "expires": None}, None]
    assert made.answer[1] is False and there.answer[1] is True
    assert titles(hub) == ["initial commit"] and hub.repos["models", "ada/poems"].private
    assert hub.requests("POST", "/preupload/") == 2 and hub.requests("PUT", "") == 0


def test_what_would_be_refused_later_is_refused_now(hub: Hub, run):
    hub.add_repo("ada/open", private=False)
    question = {"ask": "prepare", "repo_id": "ada/poems"}
    hub.fault("POST", "/preupload/", 403, message="Storage is for others.")
    refused, reader, public, foreign = run(
        question,
        question | {"token": hub.reader},
        question | {"repo_id": "ada/open"},
        question | {"repo_id": "bob/poems", "proposing": True},
        token=hub.writer,
    )
    assert (
        "ada/poems cannot be published to; it failed while trying whether the token may write"
        in refused.sentence
    )
    assert "may only read" in reader.sentence
    assert "is public and a private push was asked for" in public.sentence
    assert "There is no bob/poems to open a pull request in" in foreign.sentence


def test_a_hub_out_of_reach_is_said_at_once_where_there_is_no_time(hub: Hub, run):
    hub.fault("GET", "whoami", "slow", seconds=30)
    hub.fault("GET", "whoami", 503)
    question = {"ask": "prepare", "repo_id": "ada/poems", "patience": 0.3}
    silent, down = run(question, question, token=hub.writer)
    assert "the Hub was silent for 0.3 seconds" in silent.sentence
    assert "trouble of its own" in down.sentence
    assert silent.pauses == down.pauses == []


def test_the_life_of_a_token_and_the_gate_of_a_model_are_known(hub: Hub, run):
    ends = hub.add_token("ada", role="oauth")
    hub.tokens[ends].expires = 2e9
    hub.add_repo("lab/gated", private=False).gated = True
    hub.add_repo("lab/open", private=False)
    life, gated, free, none = run(
        {"ask": "prepare", "repo_id": "ada/poems", "token": ends},
        *({"ask": "is_open_to", "repo_id": id} for id in ("lab/gated", "lab/open", "lab/none")),
        token=hub.writer,
    )
    assert life.answer[0] == {"name": "ada", "expires": 2e9}
    assert [gated.answer, free.answer, none.answer] == [False, True, None]


def test_a_repo_of_ones_organization_may_still_be_closed_to_one(hub: Hub, run, model):
    hub.users["ada"].roles["guild"] = "contributor"
    hub.add_repo("guild/poems")
    closed, new = run(
        model | {"repo_id": "guild/poems"}, model | {"repo_id": "guild/verses"}, token=hub.writer
    )
    assert closed.sentence == "ada may not write to guild/poems: ask for the right, or take another name."
    assert new.answer["created"] is True


def test_a_token_that_expires_after_the_upload_costs_no_second_upload(hub: Hub, run, model):
    hub.fault("POST", "/commit/", "expire")
    fresh = hub.add_token("ada")
    expired, finished = run(model, model | {"token": fresh}, token=hub.writer)
    assert "the Hub does not accept the token (401)" in expired.sentence
    assert "sending the files (those that have arrived will not be sent again)" in expired.sentence
    assert finished.answer["created"] is False
    assert hub.requests("PUT", "/storage/") == 2
    assert len(titles(hub)) == 2


# The line is bad


def test_a_second_push_finishes_one_that_was_cut_and_sends_only_what_had_not_arrived(hub: Hub, run, model):
    arrives, breaks = model["uploads"]["tokenizer.model"], model["uploads"]["adapter_model.safetensors"]
    hub.fault("PUT", address(breaks), "drop-mid-body", times=6)  # as often as the client tries
    cut, finished = run(model, model, token=hub.writer)
    assert "the connection broke off; run the same command again" in cut.sentence
    assert finished.sentence is None
    assert hub.requests("PUT", address(arrives)) == 1
    assert hub.requests("PUT", address(breaks)) == 7
    assert len(titles(hub)) == 2


def test_a_commit_whose_answer_is_lost_is_one_commit(hub: Hub, run, model):
    hub.fault("POST", "/commit/", "drop-after")
    [outcome] = run(model, token=hub.writer)
    assert outcome.answer["commit"] == hub.repos["models", "ada/poems"].head.id
    assert len(titles(hub)) == 2
    assert hub.requests("PUT", "/storage/") == 2


def test_a_commit_that_lands_after_we_gave_up_waiting_is_one_commit(hub: Hub, run, model):
    hub.fault("POST", "/commit/", "slow", seconds=3)
    [outcome] = run(model, token=hub.writer, answer_seconds=1)
    assert outcome.sentence is None
    deadline = time.monotonic() + 10
    while hub.requests("POST", "/commit/") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    answers = [entry.status for entry in hub.log if "/commit/" in entry.path]
    assert answers[0] == 200
    assert 412 in answers, "the late one was not refused"
    assert len(titles(hub)) == 2


def test_passing_trouble_around_the_upload_is_waited_out(hub: Hub, run, model):
    hub.fault("GET", "whoami", 503)
    hub.fault("POST", "/repos/create", "drop-after")
    hub.fault("GET", "/api/models/ada/poems$", "drop")
    hub.fault("POST", "/validate-yaml", "proxy-page")
    hub.fault("POST", "/commit/", 429, retry_after=7)
    [outcome] = run(model, token=hub.writer)
    assert outcome.answer["created"] is True
    assert outcome.pauses == [1, 1, 1, 1, 7]
    assert len(titles(hub)) == 2


def test_trouble_that_lasts_is_told_with_what_to_do(hub: Hub, run, model):
    hub.fault("GET", "whoami", 503, times=4)
    hub.fault("GET", "whoami", 429, retry_after=900)
    hub.fault("GET", "whoami", "drop", times=4)
    hub.fault("POST", "/preupload/", 500, times=6)
    down, limited, broken, upload = run(model, model, model, model, token=hub.writer)
    assert "failed while asking whose the token is: the Hub has trouble of its own (503" in down.sentence
    assert down.pauses == [1, 2, 4]
    assert "wait 900 seconds, then run the same command again" in limited.sentence
    assert limited.pauses == []
    assert "the connection broke off; run the same command again" in broken.sentence
    assert "failed while sending the files" in upload.sentence
    assert hub.requests("POST", "/preupload/") == 6, "the client's own tries were multiplied by ours"


def test_a_silent_hub_is_given_up_on(hub: Hub, run, model):
    hub.fault("GET", "whoami", "slow", seconds=30, times=4)
    hub.fault("GET", "/api/models/ada/poems$", "slow", seconds=30, times=4)
    at_once, later = run(model, model, token=hub.writer, answer_seconds=0.3)
    assert (
        "asking whose the token is: the Hub was silent for 0.3 seconds; run the same command"
        in at_once.sentence
    )
    assert "looking for the repo: the Hub was silent" in later.sentence


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "http://127.0.0.1:9 cannot be reached; check the network"),
        (
            {"HF_HUB_OFFLINE": "1"},
            "HF_HUB_OFFLINE forbids every request; unset it, then run the same command",
        ),
    ],
)
def test_a_hub_out_of_reach_is_named(hub: Hub, model, tmp_path, environment: dict[str, str], sentence: str):
    child = Child(hub, tmp_path / "log", **environment)
    [outcome] = child.run(model, token=hub.writer)
    child.end()
    assert sentence in outcome.sentence
    assert hub.log == []


# The Hub says no


def test_what_the_hub_refuses_is_told_in_its_words_but_never_with_the_token(hub: Hub, run, model):
    hub.fault("POST", "/repos/create", 402, message="Your plan has no room.")
    hub.fault("POST", "/repos/create", 403, message=f"{hub.writer} is not allowed here.")
    hub.fault("POST", "/objects/batch", 403, message="Private storage limit reached.")
    payment, echo, storage = run(model, model, model, token=hub.writer)
    assert "the Hub asks for payment (402: Your plan has no room)" in payment.sentence
    assert "(403: (the token) is not allowed here)" in echo.sentence
    assert "(403: Private storage limit reached); make room, or see" in storage.sentence
    assert titles(hub) == ["initial commit"]


def test_a_card_that_the_hub_would_refuse_stops_the_push_before_the_upload(hub: Hub, run, model):
    Path(model["uploads"]["README.md"]).write_text("---\nlicense: [mit]\n---\n")
    [outcome] = run(model, token=hub.writer)
    assert 'Invalid metadata in README.md. - "license" must be a string' in outcome.sentence
    assert hub.requests("PUT", "/storage/") == 0


def test_a_file_that_the_repo_ignores_is_not_lost_in_silence(hub: Hub, run, model):
    repo = hub.add_repo("ada/poems")
    repo.commit("main", {".gitignore": File(b"*.safetensors\n")}, "Ignore weights", author="ada")
    [outcome] = run(model, token=hub.writer)
    assert (
        "ada/poems did not keep adapter_model.safetensors: take it out of the .gitignore" in outcome.sentence
    )


# Here


def test_a_file_that_is_gone_is_named_before_the_hub_is_asked(tmp_path: Path):
    with pytest.raises(PublishError, match="There is no file .*gone.bin to publish as weights.bin"):
        push("ada/poems", [Upload("weights.bin", tmp_path / "gone.bin")], message="Poems")
    with pytest.raises(PublishError, match="There is nothing to publish to ada/poems"):
        push("ada/poems", [], message="Poems")


def test_importing_the_push_does_not_import_the_client():
    script = "import sys, core.publish.hub; print({'huggingface_hub', 'httpx2'} & set(sys.modules))"
    child = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert child.stdout == "set()\n"
