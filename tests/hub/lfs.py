"""Large files: asked for in a batch, sent to signed addresses in one piece or in parts, then verified."""

import hashlib
from math import ceil
from typing import TYPE_CHECKING, Any

from tests.hub.store import File, Repo
from tests.hub.wire import HubError, Reply, Request, Routes

if TYPE_CHECKING:
    from tests.hub.server import Hub

routes = Routes()


@routes("POST", "{repo}.git/info/lfs/objects/batch")
def batch(hub: "Hub", request: Request, type: str, id: str) -> Reply:
    hub.require(request)
    branch = request.json().get("ref", {}).get("name")
    # Without a branch the files are for a pull request to come, which everyone who sees the repo may open.
    repo = hub.writable(request, type, id, branch) if branch else hub.readable(request, type, id)
    objects = [
        {"oid": wanted["oid"], "size": wanted["size"], **actions(hub, repo, wanted["oid"], wanted["size"])}
        for wanted in request.json()["objects"]
    ]
    return Reply(
        {"transfer": "multipart", "objects": objects},
        headers={"Content-Type": "application/vnd.git-lfs+json"},
    )


def actions(hub: "Hub", repo: Repo, sha256: str, size: int) -> dict[str, Any]:
    """None for what is there already: content is stored once, however often it is sent."""
    if sha256 in repo.objects:
        return {}
    place = f"/storage{repo.url_path}/{sha256}"
    upload: dict[str, Any] = {"href": hub.sign(place), "header": {}}
    if size > hub.part_size:
        parts = {str(n): hub.sign(f"{place}/part/{n}") for n in range(1, ceil(size / hub.part_size) + 1)}
        upload = {
            "href": hub.sign(f"{place}/complete"),
            "header": {"chunk_size": str(hub.part_size), **parts},
        }
    verify = {"href": f"{hub.url}/api/{repo.type}/{repo.id}/lfs/verify"}
    return {"actions": {"upload": upload, "verify": verify}}


@routes("PUT", "/storage{repo}/{sha256}")
def upload_whole(hub: "Hub", request: Request, type: str, id: str, sha256: str) -> Reply:
    hub.check_signature(request)
    store(hub.repos[type or "models", id], sha256, request.body)
    return Reply(b"")


@routes("PUT", "/storage{repo}/{sha256}/part/{number}")
def upload_part(hub: "Hub", request: Request, type: str, id: str, sha256: str, number: str) -> Reply:
    hub.check_signature(request)
    hub.parts[sha256, int(number)] = request.body
    return Reply(b"", headers={"ETag": f'"{File(request.body).blob_id}"'})


@routes("POST", "/storage{repo}/{sha256}/complete")
def complete(hub: "Hub", request: Request, type: str, id: str, sha256: str) -> Reply:
    hub.check_signature(request)
    pieces = []
    for part in request.json()["parts"]:
        piece = hub.parts.pop((sha256, part["partNumber"]), b"")
        if part["etag"].strip('"') != File(piece).blob_id:
            raise HubError(400, f"Part {part['partNumber']} is not what was sent.")
        pieces.append(piece)
    store(hub.repos[type or "models", id], sha256, b"".join(pieces))
    return Reply({})


def store(repo: Repo, sha256: str, content: bytes) -> None:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise HubError(400, "The content does not have the announced checksum.")
    repo.objects[sha256] = content


@routes("POST", "{api}/lfs/verify")
def verify(hub: "Hub", request: Request, type: str, id: str) -> Reply:
    hub.require(request)
    wanted = request.json()
    if len(hub.readable(request, type, id).objects.get(wanted["oid"], b"")) != wanted["size"]:
        raise HubError(404, "The file has not arrived.")
    return Reply({})
