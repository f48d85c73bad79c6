"""Users, tokens, repos and commits, in memory."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatch
from functools import cached_property

from tests.hub.wire import HubError

# What a new repo is born with. Files that match are large: kept as LFS objects, whatever their size.
LARGE = ("bin", "gguf", "model", "safetensors", "parquet", "arrow", "pt", "onnx", "zip", "gz")
GIT_ATTRIBUTES = "".join(f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LARGE).encode()


@dataclass
class User:
    """A contributor to an organization creates repos there, and writes to those only."""

    name: str
    roles: dict[str, str] = field(default_factory=dict)  # organization -> admin, write, contributor or read
    can_pay: bool = False
    id: str = ""  # stays when the account is renamed

    def __post_init__(self) -> None:
        self.id = self.id or f"id-{self.name}"

    def writes_in(self, namespace: str) -> bool:
        return namespace == self.name or self.roles.get(namespace) in ("admin", "write", "contributor")

    def contributes_to(self, repo: "Repo") -> bool:
        return self.roles.get(repo.namespace) != "contributor" or repo.author == self.name

    def reads_in(self, namespace: str) -> bool:
        return namespace == self.name or namespace in self.roles


@dataclass
class Token:
    user: User
    role: str = "write"  # write, read, fineGrained or oauth
    scopes: dict[str, list[str]] = field(
        default_factory=dict
    )  # fineGrained: user, organization or repo -> permissions
    expired: bool = False
    expires: float | None = None  # seconds since the epoch, as the Hub says it of who signed in

    def writes(self, id: str) -> bool:
        namespace = id.split("/")[0]
        if self.role == "fineGrained":
            return any("repo.write" in self.scopes.get(name, []) for name in (namespace, id))
        return self.role != "read" and self.user.writes_in(namespace)

    def creates(self, id: str) -> bool:
        return self.writes(id)

    def has_created(self, id: str) -> None:
        """For tokens that may write to what they made and to nothing else."""


@dataclass(frozen=True)
class File:
    content: bytes
    large: bool = False

    @property
    def size(self) -> int:
        return len(self.content)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        version = "https://git-lfs.github.com/spec/v1"
        return f"version {version}\noid sha256:{self.sha256}\nsize {self.size}\n".encode()

    @cached_property
    def blob_id(self) -> str:
        """What git would call it; of a large file, git only sees the pointer."""
        data = self.pointer if self.large else self.content
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.blob_id


Tree = dict[str, File]  # path -> file


@dataclass(frozen=True)
class Commit:
    parent: str | None
    tree: Tree
    title: str
    message: str
    author: str
    date: str

    @cached_property
    def id(self) -> str:
        names = {path: file.blob_id for path, file in self.tree.items()}
        return hashlib.sha1(
            json.dumps([self.parent, names, self.title, self.message, self.author, self.date]).encode()
        ).hexdigest()


@dataclass
class Discussion:
    number: int
    title: str
    author: str
    date: str
    status: str = "open"  # draft, open, closed, merged
    base: str | None = None  # of a pull request: the commit it started from
    merged_as: str | None = None
    events: list[dict] = field(default_factory=list)

    @property
    def branch(self) -> str:
        return f"refs/pr/{self.number}"


@dataclass
class Repo:
    type: str  # models, datasets or spaces
    id: str
    private: bool
    author: str
    sdk: str | None = None
    hardware: str | None = None  # of a Space
    created: str = field(default_factory=lambda: now())
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)  # name (or refs/pr/N) -> commit id
    tags: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)  # large files, by sha256, committed or not
    discussions: list[Discussion] = field(default_factory=list)
    gated: bool = False  # files are for those who accepted conditions, which nobody has

    def __post_init__(self) -> None:
        self.commit("main", {".gitattributes": File(GIT_ATTRIBUTES)}, "initial commit", author="system")

    @property
    def namespace(self) -> str:
        return self.id.split("/")[0]

    @property
    def url_path(self) -> str:
        return f"/{self.id}" if self.type == "models" else f"/{self.type}/{self.id}"

    @property
    def head(self) -> Commit:
        return self.at("main")

    def at(self, revision: str) -> Commit:
        """The commit that a branch, a tag or (the start of) an id names."""
        name = self.branches.get(revision) or self.tags.get(revision) or revision
        for id, commit in self.commits.items():
            if id == name or (len(name) >= 7 and id.startswith(name)):
                return commit
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def history(self, revision: str) -> Iterable[Commit]:
        """Newest first."""
        commit: Commit | None = self.at(revision)
        while commit:
            yield commit
            commit = self.commits.get(commit.parent or "")

    def commit(
        self,
        branch: str,
        tree: Tree,
        title: str,
        message: str = "",
        *,
        author: str,
        parent: str | None = None,
    ) -> Commit:
        commit = Commit(parent or self.branches.get(branch), tree, title, message, author, now())
        self.commits[commit.id] = commit
        self.branches[branch] = commit.id
        return commit

    def discussion(self, number: int) -> Discussion:
        for discussion in self.discussions:
            if discussion.number == number:
                return discussion
        raise HubError(404, f"There is no discussion {number} in {self.id}.")

    def open_discussion(self, title: str, author: str, *, status: str, base: str | None = None) -> Discussion:
        discussion = Discussion(len(self.discussions) + 1, title, author, now(), status, base)
        self.discussions.append(discussion)
        if base:
            self.branches[discussion.branch] = base
        return discussion


def is_large(path: str, size: int, sample: bytes, attributes: bytes) -> bool:
    """Whether the Hub asks for this file as an LFS object: by name, by size, or because it is not text."""
    patterns = [line.split()[0] for line in attributes.decode().splitlines() if "filter=lfs" in line]
    return (
        any(fnmatch(path.split("/")[-1], pattern) for pattern in patterns)
        or size > 10 * 2**20
        or b"\0" in sample
    )


def is_ignored(path: str, rules: str) -> bool:
    """A .gitignore as far as patterns without slashes go."""
    patterns = [line.strip() for line in rules.splitlines() if line.strip() and not line.startswith("#")]
    return any(fnmatch(part, pattern.strip("/")) for pattern in patterns for part in path.split("/"))


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
