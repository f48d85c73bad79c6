"""Discussions and pull requests: opened, listed, commented, closed, merged."""

from typing import TYPE_CHECKING, Any

from tests.hub.store import Discussion, Repo, now
from tests.hub.wire import HubError, Reply, Request, Routes

if TYPE_CHECKING:
    from tests.hub.server import Hub

routes = Routes()


@routes("POST", "{api}/discussions")
def open_discussion(hub: "Hub", request: Request, type: str, id: str) -> Reply:
    repo, author = hub.readable(request, type, id), hub.require(request).user.name
    wanted = request.json()
    if not 3 <= len(wanted["title"]) <= 200:
        raise HubError(400, "A title has 3 to 200 characters.")
    if wanted.get("pullRequest"):
        made = repo.open_discussion(wanted["title"], author, status="draft", base=repo.head.id)
    else:
        made = repo.open_discussion(wanted["title"], author, status="open")
    add_event(made, author, "comment", edited=False, hidden=False, latest={"raw": wanted["description"]})
    return Reply(summary(repo, made))


@routes("GET", "{api}/discussions")
def list_discussions(hub: "Hub", request: Request, type: str, id: str) -> Reply:
    repo = hub.readable(request, type, id)
    author, kind, status = (request.parameter(name) for name in ("author", "type", "status"))
    found = [
        summary(repo, discussion)
        for discussion in reversed(repo.discussions)
        if author in (None, discussion.author)
        and kind in (None, "all", "pull_request" if discussion.base else "discussion")
        and status in (None, "all", "open" if discussion.status in ("open", "draft") else "closed")
    ]
    start = int(request.parameter("p") or 0) * hub.page_size
    return Reply({"discussions": found[start : start + hub.page_size], "count": len(found), "start": start})


@routes("GET", "{api}/discussions/{number}")
def show(hub: "Hub", request: Request, type: str, id: str, number: str) -> Reply:
    repo = hub.readable(request, type, id)
    discussion = repo.discussion(int(number))
    details = summary(repo, discussion) | {"events": discussion.events}
    if discussion.base:
        changes = {"base": "refs/heads/main", "mergeCommitId": discussion.merged_as}
        details |= {"changes": changes, "filesWithConflicts": [], "diff": ""}
    return Reply(details)


@routes("POST", "{api}/discussions/{number}/comment")
def comment(hub: "Hub", request: Request, type: str, id: str, number: str) -> Reply:
    discussion, author = (
        hub.readable(request, type, id).discussion(int(number)),
        hub.require(request).user.name,
    )
    text = {"raw": request.json()["comment"]}
    return Reply(
        {"newMessage": add_event(discussion, author, "comment", edited=False, hidden=False, latest=text)}
    )


@routes("POST", "{api}/discussions/{number}/status")
def change_status(hub: "Hub", request: Request, type: str, id: str, number: str) -> Reply:
    discussion, author = (
        hub.readable(request, type, id).discussion(int(number)),
        hub.require(request).user.name,
    )
    discussion.status = request.json()["status"]
    return Reply({"newStatus": add_event(discussion, author, "status-change", status=discussion.status)})


@routes("POST", "{api}/discussions/{number}/merge")
def merge(hub: "Hub", request: Request, type: str, id: str, number: str) -> Reply:
    repo = hub.writable(request, type, id)
    author = hub.require(request).user.name
    discussion = repo.discussion(int(number))
    if not discussion.base or discussion.status not in ("open", "draft"):
        raise HubError(400, f"There is nothing to merge in discussion {number}.")
    before, after = repo.at(discussion.base).tree, repo.at(discussion.branch).tree
    tree = {path: file for path, file in repo.head.tree.items() if path in after or path not in before}
    tree |= {path: file for path, file in after.items() if before.get(path) != file}
    made = repo.commit("main", tree, f"{discussion.title} (#{number})", author=author)
    discussion.status, discussion.merged_as = "merged", made.id
    add_event(discussion, author, "status-change", status="merged")
    return Reply({})


def add_event(discussion: Discussion, author: str, type: str, **data: Any) -> dict[str, Any]:
    number = len(discussion.events) + 1
    event = {"id": str(number), "type": type, "createdAt": now(), "author": {"name": author}, "data": data}
    discussion.events.append(event)
    return event


def summary(repo: Repo, discussion: Discussion) -> dict[str, Any]:
    return {
        "num": discussion.number,
        "title": discussion.title,
        "status": discussion.status,
        "author": {"name": discussion.author},
        "createdAt": discussion.date,
        "repo": {"name": repo.id, "type": repo.type[:-1]},
        "isPullRequest": discussion.base is not None,
    }
