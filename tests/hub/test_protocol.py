"""The real client finds in this hub what it expects of the Hub."""

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from textwrap import dedent
from typing import Any

import pytest

from tests.hub import Hub
from tests.hub.store import File

PREPARE = """
import json, os, pathlib
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, errors
from huggingface_hub import hf_hub_download, snapshot_download
api = HfApi()
"""


def client(hub: Hub, script: str, *, token: str | None) -> Any:
    """What `script` leaves in `answer`, run in an interpreter of its own with an `api` at hand."""
    child = subprocess.run(
        [sys.executable, "-c", PREPARE + dedent(script) + "\nprint(json.dumps(answer))"],
        env=os.environ | hub.environment(token=token),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout.splitlines()[-1])


def status_of(hub: Hub, path: str, token: str | None = None) -> int:
    request = urllib.request.Request(
        hub.url + path, headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_model_travels_up_and_down_unchanged(hub: Hub):
    hub.part_size = 100_000
    answer = client(
        hub,
        """
        weights = os.urandom(250_000)
        api.create_repo("ada/poems", private=True)
        api.create_commit("ada/poems", [
            CommitOperationAdd("README.md", b"---\\nlicense: mit\\n---\\n# Poems"),
            CommitOperationAdd("deep/config.json", b"{}"),
            CommitOperationAdd("model.safetensors", weights),
            CommitOperationAdd("tokenizer.model", b"small, but large by name"),
        ], commit_message="All of it")
        folder = pathlib.Path(snapshot_download("ada/poems"))
        info = api.model_info("ada/poems", files_metadata=True)
        answer = {
            "same": (folder / "model.safetensors").read_bytes() == weights,
            "config": (folder / "deep/config.json").read_text(),
            "private": info.private,
            "license": info.card_data.license,
            "sizes": {file.rfilename: file.size for file in info.siblings},
            "titles": [commit.title for commit in api.list_repo_commits("ada/poems")],
        }
        """,
        token=hub.writer,
    )
    assert answer["same"] and answer["private"]
    assert answer["config"] == "{}"
    assert answer["license"] == "mit"
    assert answer["sizes"]["model.safetensors"] == 250_000
    assert answer["titles"] == ["All of it", "initial commit"]
    assert hub.requests("PUT", "/part/") == 3
    assert hub.requests("POST", "/complete") == 1
    assert all(entry.user is None for entry in hub.log if entry.path.startswith("/storage")), (
        "the token left home"
    )


def test_long_listings_come_in_pages(hub: Hub):
    hub.page_size = 2
    hub.add_repo("ada/poems").commit("main", files("a", "b/c", "b/d", "e"), "Files", author="ada")
    answer = client(
        hub,
        """
        answer = [[file.path for file in api.list_repo_tree("ada/poems", **options)] for options in (
            {"recursive": True}, {}, {"path_in_repo": "b"})]
        answer.append([entry.path for entry in api.get_paths_info("ada/poems", ["a", "b", "nowhere"])])
        """,
        token=hub.reader,
    )
    assert answer == [["a", "b", "b/c", "b/d", "e"], ["a", "b", "e"], ["b/c", "b/d"], ["a", "b"]]


def test_branches_tags_pull_requests_and_moves(hub: Hub):
    hub.add_repo("ada/poems", private=False).commit("main", files("a"), "Files", author="ada")
    answer = client(
        hub,
        """
        api.create_branch("ada/poems", branch="try")
        api.create_tag("ada/poems", tag="v1")
        api.upload_file(path_or_fileobj=b"on try", path_in_repo="b", repo_id="ada/poems", revision="try")
        proposal = api.create_commit(
            "ada/poems", [CommitOperationAdd("c", b"new"), CommitOperationDelete("a")],
            commit_message="Rather c", create_pr=True)
        status = api.get_discussion_details("ada/poems", proposal.pr_num).status
        api.merge_pull_request("ada/poems", proposal.pr_num)
        refs = api.list_repo_refs("ada/poems", include_pull_requests=True)
        api.move_repo("ada/poems", "guild/verses")
        answer = {
            "branches": [branch.name for branch in refs.branches],
            "tags": [tag.name for tag in refs.tags],
            "pulls": [pull.ref for pull in refs.pull_requests],
            "main": sorted(api.list_repo_files("guild/verses")),
            "try": sorted(api.list_repo_files("guild/verses", revision="try")),
            "status": [status, api.get_discussion_details("guild/verses", 1).status],
            "old": api.repo_exists("ada/poems"),
        }
        api.delete_repo("guild/verses")
        answer["left"] = [model.id for model in api.list_models(author="guild")]
        """,
        token=hub.writer,
    )
    assert answer["branches"] == ["main", "try"]
    assert answer["tags"] == ["v1"]
    assert answer["pulls"] == ["refs/pr/1"]
    assert answer["main"] == ["c"]
    assert answer["try"] == ["a", "b"]
    assert answer["status"] == ["open", "merged"]
    assert answer["old"] is False
    assert answer["left"] == []


def test_datasets_and_spaces_live_beside_models_of_the_same_name(hub: Hub):
    hub.users["ada"].can_pay = True
    answer = client(
        hub,
        """
        kinds = {"model": None, "dataset": None, "space": "gradio"}
        for kind, sdk in kinds.items():
            api.create_repo("ada/poems", repo_type=kind, space_sdk=sdk, private=True)
            api.upload_file(
                path_or_fileobj=kind.encode(), path_in_repo="kind", repo_id="ada/poems", repo_type=kind)
        answer = [open(hf_hub_download("ada/poems", "kind", repo_type=kind)).read() for kind in kinds]
        """,
        token=hub.writer,
    )
    assert answer == ["model", "dataset", "space"]


def test_a_cut_download_goes_on_where_it_stopped(hub: Hub):
    weights = File(bytes(24 * 2**20), large=True)  # the client resumes in pieces of 10 MiB
    repo = hub.add_repo("ada/poems")
    repo.objects[weights.sha256] = weights.content
    repo.commit("main", {"x.bin": weights}, "Files", author="ada")
    hub.fault("GET", "/storage/", "drop-mid-body")
    script = 'answer = pathlib.Path(hf_hub_download("ada/poems", "x.bin")).stat().st_size'
    assert client(hub, script, token=hub.writer) == weights.size
    assert [entry.status for entry in hub.log if entry.path.startswith("/storage/")] == [200, 206]


def test_a_private_repo_does_not_exist_for_others(hub: Hub):
    hub.add_repo("ada/poems")
    assert status_of(hub, "/api/models/ada/poems", hub.reader) == 200
    assert status_of(hub, "/api/models/ada/poems", hub.other) == 404
    assert status_of(hub, "/api/models/ada/poems") == 401
    assert status_of(hub, "/api/models/ada/poems", hub.expired) == 401
    assert status_of(hub, "/api/models/ada/poems", "hf_nonsense") == 401


def test_a_signed_address_works_without_a_token_and_no_other_does(hub: Hub):
    repo = hub.add_repo("ada/poems")
    repo.objects["abc"] = b"weights"
    signed = hub.sign("/storage/ada/poems/abc").removeprefix(hub.storage_url)
    assert status_of(hub, signed) == 200
    assert status_of(hub, signed.partition("?")[0], hub.writer) == 403


@pytest.mark.parametrize("kind", ["drop", "drop-after", "drop-mid-body"])
def test_a_cut_commit_lands_only_if_its_answer_was_what_got_lost(hub: Hub, kind: str):
    repo = hub.add_repo("ada/poems")
    hub.fault("POST", "/commit/", kind)
    answer = client(
        hub,
        """
        import httpx2
        try:
            api.upload_file(path_or_fileobj=b"new", path_in_repo="new", repo_id="ada/poems")
            answer = "fine"
        except httpx2.TransportError:
            answer = "cut"
        """,
        token=hub.writer,
    )
    assert answer == "cut"
    assert ("new" in repo.head.tree) == (kind == "drop-after")


def test_a_commit_on_an_old_parent_is_refused(hub: Hub):
    repo = hub.add_repo("ada/poems")
    old = repo.head.id
    repo.commit("main", files("a"), "Meanwhile", author="ada")
    answer = client(
        hub,
        f"""
        try:
            api.upload_file(
                path_or_fileobj=b"new", path_in_repo="new", repo_id="ada/poems", parent_commit="{old}")
        except errors.HfHubHTTPError as error:
            answer = error.response.status_code
        """,
        token=hub.writer,
    )
    assert answer == 412


def test_a_slow_answer_keeps_nobody_else_waiting(hub: Hub):
    hub.fault("GET", "whoami", "slow", seconds=30)
    slow = http.client.HTTPConnection(hub.url.removeprefix("http://"))
    slow.request("GET", "/api/whoami-v2")
    while hub.faults[0].times:
        time.sleep(0.01)
    assert status_of(hub, "/api/whoami-v2", hub.writer) == 200
    assert len(hub.log) == 1
    slow.close()


def files(*paths: str) -> dict[str, File]:
    return {path: File(b"text") for path in paths}
