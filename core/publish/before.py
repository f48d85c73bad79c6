"""Before a training that is to be published: would the push be let in? Found out now, not hours later. Needs no torch.

findings = check(spec, token, eta_seconds=3 * 3600)        # PublishError where the push could never succeed
[each.text for each in findings]
"""

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import PublishError
from core.publish import hub
from core.publish.usage import base_on_hub
from core.runs.events import Noted
from core.spec import RunSpec

WITHOUT = "Nothing has begun; without publish.to it trains and asks nobody."
PATIENCE = 5.0  # seconds for each answer: somebody waits for the training to begin
SPARE = 600.0  # seconds that a token should outlive the training, for the push itself
EXPIRES = "ATELIER_TOKEN_EXPIRES"  # in the environment of a training: seconds since the epoch, no secret
CODE = "publish"  # of notes that are kept when the training begins


@dataclass(frozen=True)
class Finding:
    about: str  # repository, token, base, disk
    text: str  # one sentence
    warning: bool = False
    ends: float | None = None  # of a token: seconds since the epoch


def check(
    spec: RunSpec,
    token: str | None = None,
    eta_seconds: float | None = None,
    *,
    folder: Path | None = None,
    model_bytes: int = 0,
    create: bool = True,
) -> tuple[Finding, ...]:
    """What was found, in a sentence each; nothing if publish.to is not set. With `create` the repository is made.

    PublishError, in one sentence, if the Hub cannot be reached or the push would be refused: no token, no right to
    write, a public repository for what is to be private, a base whose owner must be asked first.
    `model_bytes` is the size of the whole model, for which `folder` must have room if it is to be merged.
    """
    publish = spec.publish
    if not publish.to:
        return ()
    account, there = hub.prepare(
        publish.to,
        token,
        private=publish.private,
        proposing=publish.pull_request,
        create=create,
        patience=PATIENCE,
    )
    found = [_repository(spec, account.name, there)]
    found += _life(account.expires, eta_seconds)
    found += _base(spec, token)
    found += _disk(spec, folder, model_bytes)
    return tuple(found)


def at_start(spec: RunSpec, token: str | None, again: bool) -> tuple[list[Noted], dict[str, str]]:
    """What to write down when a training is asked for, and what its environment is to say of the token.

    PublishError if it could not be published as it is set up. `again`: it goes on, and what is wrong is a warning, since
    a new token or another repository can be given when it is published.
    """
    if not spec.publish.to:
        return [], {}
    if "SPACE_ID" in os.environ and not token:  # the one that is here is the Space's own, and nobody else's
        text = f"Nobody is signed in, so it was not tried whether {spec.publish.to} can be published to."
        return notes((Finding("token", text, warning=True),)), {}
    try:
        found = check(spec, token)
    except PublishError as error:
        if not again:
            raise PublishError(f"{error} {WITHOUT}") from None
        return notes((Finding("repository", str(error), warning=True),)), {}
    ends = next((each.ends for each in found if each.ends), None)
    return notes(found), {EXPIRES: str(ends)} if ends else {}


def planned(spec: RunSpec, eta_seconds: float, folder: Path, model_bytes: int) -> dict[str, Any] | None:
    """For `atelier plan`: what `check` would find, nothing being made; None if publish.to is not set."""
    if not spec.publish.to:
        return None
    try:
        found = check(spec, eta_seconds=eta_seconds, folder=folder, model_bytes=model_bytes, create=False)
    except PublishError as error:
        return {"findings": [], "refusal": str(error)}
    return {"findings": [asdict(each) for each in found], "refusal": None}


def planned_as_text(seen: dict[str, Any] | None) -> str:
    if seen is None:
        return ""
    lines = [f"{'!' if each['warning'] else '·'} {each['text']}" for each in seen["findings"]]
    return "\n".join(["", "Publishing:", *lines, *([seen["refusal"]] if seen["refusal"] else [])])


def outlived(expires: float | None, eta_seconds: float) -> str | None:
    """The sentence for a training that takes longer than the token lives; None if the token lives long enough."""
    if expires is None or time.time() + eta_seconds + SPARE <= expires:
        return None
    left = max(0.0, expires - time.time())
    return (
        f"The token lives for {_spoken(left)} more, and the training takes about {_spoken(eta_seconds)}: it can be published "
        "with a new token then, without training again."
    )


def warn_of_token(eta_seconds: float, step: int) -> list[Noted]:
    """For a training under way, which knows better how long it takes: what its environment says of the token."""
    said = outlived(float(os.environ.get(EXPIRES) or 0) or None, eta_seconds)
    return [Noted(text=said, warning=True, code="token", step=step)] if said else []


def notes(findings: tuple[Finding, ...]) -> list[Noted]:
    return [Noted(text=each.text, warning=each.warning, code=f"{CODE}-{each.about}") for each in findings]


def _repository(spec: RunSpec, user: str, there: bool | None) -> Finding:
    publish = spec.publish
    seen = "private" if publish.private else "public"
    state = {
        True: f"{publish.to} is there, and {user} may write to it",
        False: f"{publish.to} was made, {seen}, and {user} may write to it",
        None: f"{publish.to} is not there yet; it will be made, {seen}, by {user}, who may do that",
    }[there]
    if publish.pull_request:
        state = f"{user} may open a pull request in {publish.to}"
    return Finding("repository", f"{state}.")


def _life(ends: float | None, eta_seconds: float | None) -> list[Finding]:
    if ends is None:
        return []
    if said := outlived(ends, eta_seconds or 0.0):
        return [Finding("token", said, warning=True, ends=ends)]
    return [Finding("token", f"The token lives for {_spoken(ends - time.time())} more.", ends=ends)]


def _base(spec: RunSpec, token: str | None) -> list[Finding]:
    base = base_on_hub(spec)
    if not base:
        return []
    from huggingface_hub import constants, try_to_load_from_cache

    page = f"{constants.ENDPOINT}/{base}"
    open_to = hub.is_open_to(base, token, patience=PATIENCE)
    if open_to:
        return [Finding("base", f"The base {base} is open to this token.")]
    here = isinstance(try_to_load_from_cache(base, "config.json", revision=spec.model.revision), str)
    if open_to is None:
        why = f"There is no base {base} on the Hub that this token may see"
        if here:
            return [Finding("base", f"{why}; the copy on this machine is used.", warning=True)]
        raise PublishError(f"{why}: look at its spelling, or at whose token it is.")
    if here:
        return [Finding("base", f"The base {base} is gated; the copy on this machine is used.", warning=True)]
    raise PublishError(
        f"The owner of the base {base} wants to be asked first, and this token has no access: ask at {page}, then begin again."
    )


def _disk(spec: RunSpec, folder: Path | None, model_bytes: int) -> list[Finding]:
    """Room for what the push makes of the model. Checkpoints and final/ have a check of their own in the training."""
    if folder is None or not model_bytes or spec.publish.what == "adapter":
        return []
    import shutil

    # The merged model; and for GGUF, beside it, a file in each format, as large at most.
    needed = model_bytes * (1 + (len(spec.publish.quantization) if spec.publish.what == "gguf" else 0))
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        text = (
            f"To publish it as {spec.publish.what} takes {needed / 1e9:.1f} GB beside the checkpoints, and {free / 1e9:.1f} GB "
            f"are free where {folder.resolve()} is: make room until then."
        )
        return [Finding("disk", text, warning=True)]
    return [Finding("disk", f"There is room for the {needed / 1e9:.2f} GB of it as {spec.publish.what}.")]


def _spoken(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
