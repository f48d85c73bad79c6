"""The verb that makes this program a Space of one's own."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from core.verbs.common import Json, app, show_json

if TYPE_CHECKING:
    from core.publish.space import Plan

space = App(
    name="space", help="Atelier as a Space of your own on the Hugging Face Hub.", help_format="plaintext"
)
app.command(space)


@space.command
def push(
    *,
    to: Annotated[str, Parameter(help="The Space (owner/name); a bare name is yours.")] = "atelier",
    hardware: str | None = None,
    private: bool | None = None,
    plan: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Create the Space, or bring it up to date with this checkout: what git knows of it, in one commit.

    The token comes from HF_TOKEN or `hf auth login`.

    Parameters
    ----------
    hardware
        What the Hub calls it: cpu-basic, zero-a10g, t4-small, ...; as it is, or cpu-basic, unless given.
    private
        Whether a new Space is private; it is, unless --no-private.
    plan
        Show what would be published, and stop there.
    """
    from core.publish import space as spaces

    planned = spaces.plan(to, hardware, private)
    if plan or not json:
        show_json(_as_dict(planned)) if json else print(_as_text(planned))
    if plan:
        return 0
    pushed = spaces.push(planned, report=(lambda sentence: None) if json else print)
    if json:
        show_json(_as_dict(planned) | {"url": pushed.url, "commit": pushed.commit, "created": pushed.created})
    return 0


def _as_dict(planned: "Plan") -> dict[str, Any]:
    return {
        "repo_id": planned.repo_id,
        "new": planned.is_new,
        "private": planned.private,
        "hardware": planned.hardware,
        "files": [{"path": each.path, "bytes": each.size} for each in planned.uploads],
        "removed": list(planned.removed),
    }


def _folders(paths: Sequence[str]) -> list[str]:
    """What lies on top: files by name, folders with how many files are in them."""
    counted = Counter(path.partition("/")[0] + "/" * ("/" in path) for path in paths)
    return [f"{name} ({count} files)" if name.endswith("/") else name for name, count in counted.items()]


def _as_text(planned: "Plan") -> str:
    kind = "a new Space" if planned.is_new else "the Space as it is there"
    seen = "private" if planned.private else "public"
    total = sum(each.size for each in planned.uploads)
    lines = [
        f"To {planned.repo_id}: {kind}, {seen}, on {planned.hardware}.",
        f"{len(planned.uploads)} files ({total / 1e6:.1f} MB) in one commit.",
    ]
    lines += [f"  {name}" for name in _folders([each.path for each in planned.uploads])]
    if planned.removed:
        lines.append(f"Removed from the Space: {', '.join(planned.removed)}.")
    return "\n".join(lines)
