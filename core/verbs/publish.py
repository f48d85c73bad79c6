"""Verbs that make a model leave the house."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from core.runs.store import RunStore
from core.verbs.common import Json, RunName, Runs, app, carry_out, show_json


@app.command
def merge(run: RunName, *, runs: Runs = Path("runs"), json: Json = False) -> int:
    """Write the whole tuned model, adapter merged in, to the run's folder `merged`, with its model card."""
    return carry_out(RunStore(runs).get(run), "merge", True, json)


@app.command
def push(
    run: RunName,
    *,
    to: Annotated[str | None, Parameter(help="Repository (owner/name); publish.to unless given.")] = None,
    what: Literal["adapter", "merged"] | None = None,
    private: bool | None = None,
    plan: Annotated[bool, Parameter(negative="")] = False,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> int:
    """Publish to the Hugging Face Hub: first the plan, then one commit. Repeat it after a failure; it goes on.

    The token comes from HF_TOKEN or `hf auth login`.

    Parameters
    ----------
    what
        The adapter alone or the whole merged model; publish.what unless given.
    private
        Whether a new repository is private; publish.private unless given.
    plan
        Show what would be published, and stop there.
    """
    from core.publish.plan import as_dict, as_text
    from core.publish.plan import plan as plan_publication

    wanted = RunStore(runs).get(run)
    planned = plan_publication(wanted, to, what, private)
    if plan or not json:
        show_json(as_dict(planned)) if json else print(as_text(planned))
    if plan:
        return 0
    return carry_out(
        wanted, "push", True, json, to=planned.repo_id, what=planned.what, private=planned.private
    )


@app.command
def whoami(*, json: Json = False) -> None:
    """Show whose token would be used to publish."""
    from core.publish import hub

    name = hub.whoami()
    show_json({"name": name}) if json else print(name)
