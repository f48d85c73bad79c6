"""This program itself, as a Space: the files it runs from, out of a git checkout, in one commit.

push("ada/atelier", hardware="t4-small")
"""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import core
from core.errors import PublishError
from core.publish import hub
from core.publish.hub import Pushed, Upload

ROOT = Path(core.__file__).resolve().parent.parent
# What a Space runs from, and what its page on the Hub shows. Tests, benchmarks and runs stay here.
NEEDED = ("README.md", "LICENSE", "app.py", "requirements.txt", "core", "docs", "presets", "webui")
MARK = "webui/page.py"  # by which a Space of ours is known
BORN_WITH = {".gitattributes", "README.md"}
USUAL = "cpu-basic"
SECRET = re.compile(rb"\bhf_[A-Za-z0-9]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY-----")


@dataclass(frozen=True)
class Plan:
    """What a push would do."""

    repo_id: str
    uploads: tuple[Upload, ...]
    removed: tuple[str, ...]  # what the Space has and the checkout has not
    hardware: str
    moves: bool  # the Space is there, on other hardware
    private: bool  # a new one; one that is there stays as it is
    is_new: bool


def plan(
    to: str,
    hardware: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    root: Path = ROOT,
) -> Plan:
    """PublishError if there is nothing that can be published from here, or the name is that of another program."""
    user = hub.check_rights(to, token, repo_type="space")
    repo_id = to if "/" in to else f"{user}/{to}"
    there = hub.space(repo_id, token)
    others = set(there.files) - BORN_WITH if there else set()
    if others and MARK not in others:
        raise PublishError(
            f"{repo_id} is a Space of something else, whose files would be lost: choose another name."
        )
    if there and private and not there.private:
        raise PublishError(
            f"{repo_id} is public and a private Space was asked for: choose another name, or leave that out."
        )
    chosen = hardware or (there.hardware if there else None) or USUAL
    uploads = files(root)
    paths = {upload.path for upload in uploads}
    return Plan(
        repo_id=repo_id,
        uploads=tuple(uploads),
        removed=tuple(path for path in (there.files if there else ()) if path not in paths | {hub.KEPT}),
        hardware=chosen,
        moves=there is not None and chosen != (there.hardware or USUAL),
        private=there.private if there else private is not False,
        is_new=there is None,
    )


def push(
    planned: Plan, token: str | None = None, report: Callable[[str], None] = lambda sentence: None
) -> Pushed:
    """Carry the plan out: the Space is made if it is not there, and holds what the plan says after one commit."""
    try:
        pushed = hub.push(
            planned.repo_id,
            planned.uploads,
            token=token,
            private=planned.private,
            message=f"Atelier {core.__version__}",
            repo_type="space",
            replaces=("*",),
            hardware=planned.hardware if planned.is_new else None,
            report=report,
        )
        if planned.moves:
            hub.request_hardware(planned.repo_id, planned.hardware, token)
            report(f"It moves onto {planned.hardware}.")
    except PublishError as error:
        if "asks for payment" not in str(error):
            raise
        raise PublishError(
            f"{str(error).rstrip('.')}. A Space on {planned.hardware} needs a paid plan; a free account may have two on "
            "ZeroGPU: --hardware zero-a10g."
        ) from None
    return pushed


def files(root: Path) -> list[Upload]:
    """What git knows of what a Space needs, as it lies in the checkout now; PublishError if that is not the whole of it."""
    for unknown in _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *NEEDED):
        raise PublishError(
            f"{unknown} is not in git, so it is not known whether the Space shall have it: `git add` it, or move it away."
        )
    uploads = []
    for path in _git(root, "ls-files", "-z", "--cached", "--", *NEEDED):
        source = root / path
        if source.is_symlink():
            raise PublishError(
                f"{path} is a link, which may lead out of the checkout: put the file itself there."
            )
        if not source.is_file():
            continue  # deleted, and git not told yet
        if found := SECRET.search(source.read_bytes()):
            line = source.read_bytes()[: found.start()].count(b"\n") + 1
            raise PublishError(f"{path}, line {line}, holds a token or a key: take it out, and revoke it.")
        uploads.append(Upload(path, source))
    if not {"app.py", MARK} <= {upload.path for upload in uploads}:
        raise PublishError(f"{root} is not a whole checkout of Atelier: clone it, and push from there.")
    return uploads


def _git(root: Path, *arguments: str) -> list[str]:
    """The paths that git lists; PublishError if it cannot."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=60
        )
    except FileNotFoundError:
        raise PublishError(
            "A Space is pushed from a git checkout, and there is no git here: install it."
        ) from None
    if done.returncode:
        why = " ".join(done.stderr.split()).removeprefix("fatal: ")
        raise PublishError(f"A Space is pushed from a git checkout, and {root} is none: clone it ({why}).")
    return [path for path in done.stdout.split("\0") if path]
