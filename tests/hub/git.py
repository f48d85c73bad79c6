"""Commits and what is in them: preupload, commit, branches, tags, history, trees, files."""

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.hub.store import Commit, File, Repo, Tree, is_ignored, is_large
from tests.hub.wire import HubError, Reply, Request, Routes

if TYPE_CHECKING:
    from tests.hub.server import Hub

routes = Routes()


# Writing


@routes("POST", "{api}/preupload/{revision}")
def preupload(hub: "Hub", request: Request, type: str, id: str, revision: str) -> Reply:
    """For each file of a commit to come: how it shall be sent, and what is there already."""
    repo = target(hub, request, type, id, revision)
    wanted = request.json()
    tree = repo.at(revision).tree
    attributes = tree.get(".gitattributes", File(b"")).content
    rules = wanted.get("gitIgnore") or tree.get(".gitignore", File(b"")).content.decode()
    return Reply(
        {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs"
                    if is_large(file["path"], file["size"], base64.b64decode(file["sample"]), attributes)
                    else "regular",
                    "shouldIgnore": is_ignored(file["path"], rules),
                    "oid": tree[file["path"]].etag if file["path"] in tree else None,
                }
                for file in wanted["files"]
            ]
        }
    )


@routes("POST", "{api}/commit/{revision}")
def commit(hub: "Hub", request: Request, type: str, id: str, revision: str) -> Reply:
    repo = target(hub, request, type, id, revision)
    lines = [json.loads(line) for line in request.body.splitlines()]
    header = next(line["value"] for line in lines if line["key"] == "header")
    parent = repo.at(revision)
    if not parent.id.startswith(header.get("parentCommit", "")):
        raise HubError(412, "A commit has happened since. Please refresh and try again.")
    tree = changed_tree(repo, parent.tree, lines)

    author = hub.require(request).user.name
    pull_request = None
    if request.parameter("create_pr"):
        pull_request = repo.open_discussion(header["summary"], author, status="open", base=parent.id)
        revision = pull_request.branch
    made = repo.commit(revision, tree, header["summary"], header.get("description", ""), author=author)
    return Reply(
        {
            "success": True,
            "commitOid": made.id,
            "commitUrl": f"{hub.url}{repo.url_path}/commit/{made.id}",
            "hookOutput": "",
            "pullRequestUrl": pull_request and f"{hub.url}{repo.url_path}/discussions/{pull_request.number}",
        }
    )


def target(hub: "Hub", request: Request, type: str, id: str, revision: str) -> Repo:
    """The repo to commit to; to open a pull request, seeing it is enough."""
    if request.parameter("create_pr"):
        hub.require(request)
        return hub.readable(request, type, id)
    repo = hub.writable(request, type, id, revision)
    if revision not in repo.branches:
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return repo


def changed_tree(repo: Repo, tree: Tree, lines: list[dict[str, Any]]) -> Tree:
    tree = dict(tree)
    for line in lines:
        value = line["value"]
        match line["key"]:
            case "file":
                tree[value["path"]] = File(base64.b64decode(value["content"]))
            case "lfsFile":
                if value["oid"] not in repo.objects:
                    raise HubError(400, f"LFS pointer pointed to a file that does not exist: {value['path']}")
                tree[value["path"]] = File(repo.objects[value["oid"]], large=True)
            case "deletedFile":
                if value["path"] not in tree:
                    raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
                del tree[value["path"]]
            case "deletedFolder":
                folder = value["path"].rstrip("/") + "/"
                tree = {path: file for path, file in tree.items() if not path.startswith(folder)}
    return tree


@routes("POST", "{api}/branch/{branch}")
def create_branch(hub: "Hub", request: Request, type: str, id: str, branch: str) -> Reply:
    repo = hub.writable(request, type, id)
    if branch.startswith("refs/"):
        raise HubError(400, f"Invalid reference for a branch: {branch}")
    if branch in repo.branches:
        raise HubError(409, f"Reference already exists: {branch}")
    repo.branches[branch] = repo.at(request.json().get("startingPoint", "main")).id
    return Reply()


@routes("DELETE", "{api}/branch/{branch}")
def delete_branch(hub: "Hub", request: Request, type: str, id: str, branch: str) -> Reply:
    repo = hub.writable(request, type, id)
    if branch == "main" or branch not in repo.branches:
        raise HubError(
            403 if branch == "main" else 404, f"Cannot delete the branch {branch}", "RevisionNotFound"
        )
    del repo.branches[branch]
    return Reply()


@routes("POST", "{api}/tag/{revision}")
def create_tag(hub: "Hub", request: Request, type: str, id: str, revision: str) -> Reply:
    repo = hub.writable(request, type, id)
    tag = request.json()["tag"]
    if tag in repo.tags:
        raise HubError(409, f"Tag already exists: {tag}")
    repo.tags[tag] = repo.at(revision).id
    return Reply()


@routes("DELETE", "{api}/tag/{tag}")
def delete_tag(hub: "Hub", request: Request, type: str, id: str, tag: str) -> Reply:
    repo = hub.writable(request, type, id)
    if repo.tags.pop(tag, None) is None:
        raise HubError(404, f"There is no tag {tag}", "RevisionNotFound")
    return Reply()


@routes("POST", "{api}/super-squash/{branch}")
def squash(hub: "Hub", request: Request, type: str, id: str, branch: str) -> Reply:
    repo = hub.writable(request, type, id)
    author = hub.require(request).user.name
    made = Commit(None, repo.at(branch).tree, request.json()["message"], "", author, repo.at(branch).date)
    repo.commits[made.id] = made
    repo.branches[branch] = made.id
    return Reply()


# Reading


@routes("GET", "{api}/refs")
def list_refs(hub: "Hub", request: Request, type: str, id: str) -> Reply:
    repo = hub.readable(request, type, id)
    branches = {name: commit for name, commit in repo.branches.items() if not name.startswith("refs/")}
    pulls = {name: commit for name, commit in repo.branches.items() if name.startswith("refs/pr/")}

    def listed(refs: dict[str, str], prefix: str) -> list[dict[str, str]]:
        return [{"name": name, "ref": prefix + name, "targetCommit": commit} for name, commit in refs.items()]

    return Reply(
        {
            "branches": listed(branches, "refs/heads/"),
            "tags": listed(repo.tags, "refs/tags/"),
            "converts": [],
            **({"pullRequests": listed(pulls, "")} if request.parameter("include_prs") else {}),
        }
    )


@routes("GET", "{api}/commits/{revision}")
def list_commits(hub: "Hub", request: Request, type: str, id: str, revision: str) -> Reply:
    repo = hub.readable(request, type, id)
    return page(
        hub,
        request,
        [
            {
                "id": commit.id,
                "title": commit.title,
                "message": commit.message,
                "authors": [{"user": commit.author}],
                "date": commit.date,
            }
            for commit in repo.history(revision)
        ],
    )


@routes("GET", "{api}/tree/{revision}(?:/(?P<path>.+))?")
def list_tree(hub: "Hub", request: Request, type: str, id: str, revision: str, path: str) -> Reply:
    repo = hub.readable(request, type, id)
    commit = repo.at(revision)
    folder = f"{path}/" if path else ""
    inside = [name for name in sorted(commit.tree) if name.startswith(folder)]
    if path and not inside:
        raise HubError(404, f"{path} does not exist on {revision}", "EntryNotFound")
    names = set(inside) | {
        parent for name in inside for parent in folders_of(name) if parent.startswith(folder)
    }
    if request.parameter("recursive") != "true":
        names = {name for name in names if "/" not in name[len(folder) :]}
    expand = request.parameter("expand") == "true"
    return page(hub, request, [listed_path(commit, name, expand) for name in sorted(names)])


@routes("POST", "{api}/paths-info/{revision}")
def list_paths(hub: "Hub", request: Request, type: str, id: str, revision: str) -> Reply:
    commit = hub.readable(request, type, id).at(revision)
    folders = {folder for name in commit.tree for folder in folders_of(name)}
    expand = request.form("expand")[-1:] == ["true"]
    known = [path for path in request.form("paths") if path in commit.tree or path in folders]
    return Reply([listed_path(commit, path, expand) for path in known])


def folders_of(path: str) -> list[str]:
    """ "a/b/c" lies in "a" and "a/b"."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


def listed_path(commit: Commit, path: str, expand: bool) -> dict[str, Any]:
    file = commit.tree.get(path)
    last = {"lastCommit": {"id": commit.id, "title": commit.title, "date": commit.date}} if expand else {}
    if file is None:
        return {"type": "directory", "oid": File(path.encode()).blob_id, "size": 0, "path": path, **last}
    entry = {"type": "file", "oid": file.blob_id, "size": file.size, "path": path, **last}
    if file.large:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
    return entry


def page(hub: "Hub", request: Request, entries: list[Any]) -> Reply:
    """One page of a listing, with the address of the next."""
    start = int(request.parameter("cursor") or 0)
    end = start + hub.page_size
    others = re.sub(r"&?cursor=\d+", "", request.query)
    link = f'<{hub.url}{request.path}?{others}&cursor={end}>; rel="next"'
    return Reply(entries[start:end], headers={"Link": link} if end < len(entries) else {})


@routes("GET", "{repo}/resolve/{revision}/{path}")
def resolve(hub: "Hub", request: Request, type: str, id: str, revision: str, path: str) -> Reply:
    """The content of a small file; of a large one, where to get it."""
    repo = hub.readable(request, type, id)
    if repo.gated:
        refusal = "Access to this repository is restricted: you have not accepted its conditions."
        raise HubError(403 if hub.token(request) else 401, refusal, "GatedRepo")
    commit = repo.at(revision)
    file = commit.tree.get(path)
    headers = {"X-Repo-Commit": commit.id}
    if file is None:
        refusal = HubError(404, "Entry not found", "EntryNotFound").reply
        return Reply(refusal.body, 404, refusal.headers | headers)
    headers |= {"ETag": f'"{file.etag}"', "Content-Type": "application/octet-stream"}
    if not file.large:
        return ranged(request, file.content, headers)
    headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
    location = hub.sign(f"/storage{quote(repo.url_path)}/{file.sha256}")
    return Reply(b"", 302, headers | {"Location": location})


@routes("GET", "/storage{repo}/{sha256}")
def download(hub: "Hub", request: Request, type: str, id: str, sha256: str) -> Reply:
    hub.check_signature(request)
    return ranged(request, hub.repos[type or "models", id].objects[sha256], {"ETag": f'"{sha256}"'})


def ranged(request: Request, content: bytes, headers: dict[str, str]) -> Reply:
    headers = headers | {"Accept-Ranges": "bytes"}
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if not wanted:
        return Reply(content, headers=headers)
    start, end = int(wanted[1]), min(int(wanted[2] or len(content) - 1), len(content) - 1)
    if start > end:
        return Reply(b"", 416, headers | {"Content-Range": f"bytes */{len(content)}"})
    return Reply(
        content[start : end + 1], 206, headers | {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
    )
