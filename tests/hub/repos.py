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
    if not token.writes(id):
        raise HubError(
            403, f'You don\'t have the rights to create a {type[:-1]} under the namespace "{namespace}"'
        )
    if (type, id) in hub.repos:
        raise HubError(
            409, f"You already created this {type[:-1]} repo", url=hub.url + hub.repos[type, id].url_path
        )
    wanted = request.json()
    if type == "spaces" and wanted.get("sdk") != "static" and not token.user.can_pay:
        raise HubError(402, "A subscription is required to create a Space of this kind.")
    private = wanted.get("visibility") == "private"
    repo = hub.repos[type, id] = Repo(type, id, private, token.user.name, wanted.get("sdk"))
    return Reply({"url": hub.url + repo.url_path, "name": id, "id": id})


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
        **({"sdk": repo.sdk} if repo.type == "spaces" else {}),
    }


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
    warnings = [] if metadata else [{"message": "empty or missing yaml metadata in repo card"}]
    return Reply({"errors": errors, "warnings": warnings}, 400 if errors else 200)


def front_matter(card: str) -> dict[str, Any] | None:
    found = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    return yaml.safe_load(found[1]) if found else None
