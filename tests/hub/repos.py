"""Repos as such: made, listed, described, moved, deleted; and the check of a card's front matter."""

import re
from typing import TYPE_CHECKING, Any

import yaml

from tests.hub.store import Repo, User
from tests.hub.wire import HubError, Reply, Request, Routes

if TYPE_CHECKING:
    from tests.hub.server import Hub

routes = Routes()


def named_repo(request: Request, user: User) -> tuple[str, str]:
    """Type and id of the repo that a request's JSON names; without an organization it is the user's own."""
    wanted = request.json()
    return f"{wanted.get('type') or 'model'}s", f"{wanted.get('organization') or user.name}/{wanted['name']}"


@routes("POST", "/api/repos/create")
def create(hub: "Hub", request: Request) -> Reply:
    token = hub.require(request)
    type, id = named_repo(request, token.user)
    namespace, name = id.split("/")
    if not re.fullmatch(r"[\w.-]{1,96}", name, re.ASCII):
        raise HubError(400, f"Invalid repo name: {name}")
    if not token.creates(id):
        raise HubError(
            403, f'You don\'t have the rights to create a {type[:-1]} under the namespace "{namespace}"'
        )
    if (type, id) in hub.repos:
        raise HubError(
            409, f"You already created this {type[:-1]} repo", url=hub.url + hub.repos[type, id].url_path
        )
    wanted = request.json()
    hardware = wanted.get("hardware") or "cpu-basic"
    if type == "spaces" and wanted.get("sdk") != "static":
        check_plan(hub, token.user, hardware, repo=None)
    private = wanted.get("visibility") == "private"
    repo = hub.repos[type, id] = Repo(type, id, private, token.user.name, wanted.get("sdk"))
    repo.hardware = hardware
    token.has_created(id)
    return Reply({"url": hub.url + repo.url_path, "name": id, "id": id})


@routes("POST", "/api/spaces/(?P<id>[^/]+/[^/]+)/hardware")
def move_onto(hub: "Hub", request: Request, id: str) -> Reply:
    repo = hub.writable(request, "spaces", id)
    hardware = request.json()["flavor"]
    check_plan(hub, hub.require(request).user, hardware, repo)
    repo.hardware = hardware
    return Reply({"stage": "BUILDING", "hardware": {"current": None, "requested": hardware}})


def check_plan(hub: "Hub", user: User, hardware: str, repo: Repo | None) -> None:
    """A free account may have two Spaces, on ZeroGPU; whatever costs something is for those who can pay."""
    if not re.fullmatch(r"cpu-basic|cpu-upgrade|zero-a10g|t4-small|l4x1|a100-large", hardware):
        raise HubError(400, f"Invalid hardware: {hardware}")
    zero = [each for each in hub.repos.values() if each.hardware == "zero-a10g" and each.author == user.name]
    if (
        not user.can_pay
        and (hardware != "zero-a10g" or len(zero) >= 2)
        and (repo is None or hardware != "cpu-basic")
    ):
        raise HubError(402, "A subscription is required for a Space on this hardware.")


@routes("DELETE", "/api/repos/delete")
def delete(hub: "Hub", request: Request) -> Reply:
    type, id = named_repo(request, hub.require(request).user)
    hub.writable(request, type, id)
    del hub.repos[type, id]
    return Reply()


@routes("POST", "/api/repos/move")
def move(hub: "Hub", request: Request) -> Reply:
    wanted = request.json()
    type, source, target = f"{wanted['type']}s", wanted["fromRepo"], wanted["toRepo"]
    repo = hub.writable(request, type, source)
    if not hub.require(request).writes(target):
        raise HubError(403, f"You may not move a repo to {target}.")
    if (type, target) in hub.repos:
        raise HubError(409, f"{target} exists already.")
    del hub.repos[type, source]
    repo.id = target
    hub.repos[type, target] = repo
    return Reply()


@routes("PUT", "{api}/settings")
def change_settings(hub: "Hub", request: Request, type: str, id: str) -> Reply:
    repo = hub.writable(request, type, id)
    if visibility := request.json().get("visibility"):
        repo.private = visibility == "private"
    return Reply({"private": repo.private})


@routes("GET", "/api/(?P<type>models|datasets|spaces)")
def list_repos(hub: "Hub", request: Request, type: str) -> Reply:
    token = hub.token(request)
    author, words = request.parameter("author"), request.parameter("search") or ""
    return Reply(
        [
            description(repo)
            for (_, id), repo in sorted(hub.repos.items())
            if repo.type == type
            and (not repo.private or (token and token.user.reads_in(repo.namespace)))
            and author in (None, repo.namespace)
            and words.lower() in id.lower()
        ]
    )


@routes("GET", "{api}")
def show(hub: "Hub", request: Request, type: str, id: str) -> Reply:
    return show_revision(hub, request, type, id, "main")


@routes("GET", "{api}/revision/{revision}")
def show_revision(hub: "Hub", request: Request, type: str, id: str, revision: str) -> Reply:
    repo = hub.readable(request, type, id)
    everything = description(repo, revision, blobs=bool(request.parameter("blobs")))
    if wanted := request.parameters("expand"):
        everything = {name: value for name, value in everything.items() if name in ["id", *wanted]}
    return Reply(everything)


def description(repo: Repo, revision: str = "main", *, blobs: bool = False) -> dict[str, Any]:
    commit = repo.at(revision)
    files = []
    for path, file in sorted(commit.tree.items()):
        entry: dict[str, Any] = {"rfilename": path}
        if blobs:
            entry |= {"size": file.size, "blobId": file.blob_id}
        if blobs and file.large:
            entry["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
        files.append(entry)
    card = commit.tree.get("README.md")
    return {
        "_id": repo.id,
        "id": repo.id,
        "author": repo.namespace,
        "sha": commit.id,
        "createdAt": repo.created,
        "lastModified": commit.date,
        "private": repo.private,
        "gated": "manual" if repo.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": files,
        "cardData": front_matter(card.content.decode()) if card else None,
        **(of_a_space(repo) if repo.type == "spaces" else {}),
    }


def of_a_space(repo: Repo) -> dict[str, Any]:
    hardware = {"current": None, "requested": repo.hardware}
    return {"sdk": repo.sdk, "runtime": {"stage": "NO_APP_FILE", "hardware": hardware}}


@routes("POST", "/api/validate-yaml")
def validate_card(hub: "Hub", request: Request) -> Reply:
    try:
        metadata = front_matter(request.json()["content"])
    except yaml.YAMLError as error:
        return Reply({"errors": [{"message": f"YAML: {error}"}], "warnings": []}, 400)
    errors = [
        {"message": f'"{name}" must be a string'}
        for name in ("license", "library_name", "pipeline_tag")
        if metadata and not isinstance(metadata.get(name, ""), str)
    ]
    if metadata:
        errors += [{"message": sentence} for sentence in misstated(metadata)]
    warnings = [] if metadata else [{"message": "empty or missing yaml metadata in repo card"}]
    return Reply({"errors": errors, "warnings": warnings}, 400 if errors else 200)


def misstated(metadata: dict[str, Any]) -> list[str]:
    """What the Hub would not take: lists that are none, and results that lack what a leaderboard needs."""
    found = [
        f'"{name}" must be an array'
        for name in ("tags", "configs")
        if not isinstance(metadata.get(name, []), list)
    ]
    relation = metadata.get("base_model_relation")
    if relation not in (None, "adapter", "merge", "quantized", "finetune"):
        found.append('"base_model_relation" must be one of [adapter, merge, quantized, finetune]')
    for model in metadata.get("model-index", []):
        if not isinstance(model.get("name"), str):
            found.append('"model-index[0].name" is required')
        for result in model.get("results", []):
            if not result.get("task", {}).get("type") or not {"type", "name"} <= set(
                result.get("dataset", {})
            ):
                found.append('"model-index[0].results[0]" needs task.type, dataset.type and dataset.name')
            for metric in result.get("metrics", []):
                if not metric.get("type") or "value" not in metric:
                    found.append('"model-index[0].results[0].metrics[0]" needs type and value')
    return found


def front_matter(card: str) -> dict[str, Any] | None:
    found = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    return yaml.safe_load(found[1]) if found else None
