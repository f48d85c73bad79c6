"""Verbs that make a model, or examples, leave the house."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from core.runs.store import RunStore
from core.verbs.common import (
    Config,
    Files,
    Json,
    Preset,
    RunName,
    Runs,
    Settings,
    app,
    carry_out,
    data,
    show_json,
    spec_of,
)

To = Annotated[str | None, Parameter(help="Repository (owner/name); publish.to unless given.")]


@app.command
def push(
    run: RunName,
    *,
    to: To = None,
    what: Literal["adapter", "merged", "gguf"] | None = None,
    private: bool | None = None,
    branch: str | None = None,
    pull_request: bool | None = None,
    license: str | None = None,
    quantization: tuple[str, ...] = (),
    again: Annotated[bool, Parameter(negative="")] = False,
    plan: Annotated[bool, Parameter(negative="")] = False,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> int:
    """Publish to the Hugging Face Hub: first the plan, then one commit. Repeat it after a failure; it goes on.

    The token comes from HF_TOKEN or `hf auth login`.

    Parameters
    ----------
    what
        The adapter alone, the whole merged model, or that as GGUF files; publish.what unless given.
    private
        Whether a new repository is private; publish.private unless given.
    branch
        Branch to publish to, made if there is none; publish.branch, or main, unless given.
    pull_request
        Publish as a draft pull request instead of a commit.
    license
        Licence of what is published, as the Hub abbreviates it: apache-2.0, cc-by-4.0, ...
    quantization
        Number formats of the GGUF files; publish.quantization unless given.
    again
        As it was asked for the last time; what is given beside it goes before.
    plan
        Show what would be published, and stop there.
    """
    from core.publish.job import last
    from core.publish.plan import as_dict, as_text
    from core.publish.plan import plan as plan_publication

    wanted = RunStore(runs).get(run)
    given = {
        "to": to,
        "what": what,
        "private": private,
        "branch": branch,
        "pull_request": pull_request,
        "license": license,
        "quantization": quantization or None,
    }
    options = (last(wanted) if again else {}) | {
        name: each for name, each in given.items() if each is not None
    }
    planned = plan_publication(wanted, **options)
    if plan or not json:
        show_json(as_dict(planned)) if json else print(as_text(planned))
    if plan:
        return 1 if planned.refusal else 0
    return carry_out(wanted, "push", True, json, **options)


@data.command(name="push")
def push_data(
    files: Files = (),
    *,
    to: Annotated[str, Parameter(help="Repository on the Hub (owner/name).")],
    private: Annotated[bool, Parameter(help="Whether a new repository is private.")] = True,
    license: str | None = None,
    source: str | None = None,
    as_: Annotated[Literal["jsonl", "parquet"], Parameter(name="--as")] = "jsonl",
    branch: str | None = None,
    pull_request: Annotated[bool, Parameter(negative="")] = False,
    plan: Annotated[bool, Parameter(negative="")] = False,
    preset: Preset = "tiny",
    config: Config = None,
    json: Json = False,
    settings: Settings = None,
) -> int:
    """Publish examples as a data set on the Hub, with a card, in one commit; it is opened again before it is called done.

    What is published is what a training would read: conversations in one shape, whatever shape the files have. Files in
    --data.held-out-files become its split `test`.

    Parameters
    ----------
    license
        Licence of the examples, as the Hub abbreviates it: cc-by-4.0, cc0-1.0, ...
    source
        Where they come from: an address, or words.
    as_
        Kind of file.
    branch
        Branch to publish to, made if there is none; main unless given.
    pull_request
        Publish as a draft pull request instead of a commit.
    plan
        Show what would be published, and stop there.
    """
    from core.publish import dataset

    spec = spec_of(files, preset, config, settings)
    wanted = dataset.Wanted(to, private, license, source, as_, branch, pull_request)
    with dataset.made(spec.data, wanted) as made:
        if plan or not json:
            show_json(made.as_dict()) if json else print(made.as_text())
        if plan:
            return 0
        pushed = dataset.push(made, report=(lambda text: None) if json else print)
    if json:
        show_json({"url": pushed.url, "commit": pushed.commit, "rows": made.rows})
    return 0


@app.command
def whoami(*, json: Json = False) -> None:
    """Show whose token would be used to publish."""
    from core.publish import hub

    name = hub.whoami()
    show_json({"name": name}) if json else print(name)
