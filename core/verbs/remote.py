"""Verbs about the Hub's machines: what there is, what a run has cost there, ending a job, tidying up after it."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from core.errors import RunError, UserError
from core.runs.store import Run, RunStore
from core.spec import RunSpec
from core.verbs.common import (
    Config,
    Files,
    Json,
    Preset,
    RunName,
    Runs,
    Settings,
    app,
    is_sure,
    show_json,
    spec_of,
)

Yes = Annotated[bool, Parameter(negative="", help="Do not ask.")]
remote = App(
    name="remote", help="The Hub's machines, by HF Jobs, for compute.where hf-jobs.", help_format="plaintext"
)
app.command(remote)


@remote.command
def flavors(*, json: Json = False) -> None:
    """List the machines: GPUs, memory, price by the hour, as the Hub says now."""
    from core.remote.client import Jobs
    from core.remote.flavors import as_text

    found = Jobs().flavors()
    show_json({"flavors": [each.as_dict() for each in found]}) if json else print(as_text(found))


@remote.command
def estimate(
    files: Files = (),
    *,
    preset: Preset = "tiny",
    config: Config = None,
    runs: Runs = Path("runs"),
    json: Json = False,
    settings: Settings = None,
) -> None:
    """Show how long a training would take on its machine (compute.flavor), what it would cost, and when it would be ended."""
    from core.forecast import forecast
    from core.remote.estimate import as_text
    from core.runs import jobs

    spec = spec_of(files, preset, config, settings)
    if spec.compute.where == "here":
        raise UserError("This training is for this machine and costs nothing: set --compute.where hf-jobs.")
    jobs.check(spec)
    seen = forecast(spec, runs)
    if seen["refusal"]:
        raise UserError(seen["refusal"])
    show_json(seen["remote"]) if json else print(as_text(seen["remote"]))


@remote.command
def cost(run: RunName, *, runs: Runs = Path("runs"), json: Json = False) -> None:
    """Show what a run has cost on HF Jobs so far, all its jobs together."""
    wanted = RunStore(runs).get(run)
    told = wanted.progress().remote
    if told is None:
        raise UserError(f"The run {run!r} was never on HF Jobs.")
    seen = {
        "run": run,
        "job": told.job,
        "url": told.url,
        "flavor": told.flavor,
        "stage": told.stage,
        "seconds": told.seconds,
        "usd_per_hour": told.usd_per_hour,
        "usd": round(told.usd, 4),
    }
    if json:
        show_json(seen)
        return
    earlier = f" (${told.usd_before:.2f} of it for earlier jobs)" if told.usd_before else ""
    print(
        f"${told.usd:.2f}{earlier}: {told.stage.lower()} on {told.flavor}, {told.seconds / 60:.0f} min at "
        f"${told.usd_per_hour:.2f} an hour. {told.url}"
    )


@remote.command
def cancel(run: RunName, *, runs: Runs = Path("runs")) -> None:
    """Cancel the job of a run that nobody follows any more; `atelier stop` is for one that is followed."""
    from core.remote import follow

    wanted = RunStore(runs).get(run)
    if wanted.alive():
        raise RunError(
            f"The run {run!r} is followed: end it with `atelier stop {run}`, or at once with --now."
        )
    record = follow.cancel(wanted)
    print(f"Canceled: {record.url or record.repo}" if record else f"No job of {run} is at work.")


@remote.command
def clean(run: RunName, *, yes: Yes = False, runs: Runs = Path("runs")) -> None:
    """Delete a run's private repository at the Hub, with the data and checkpoints in it. What is here stays."""
    from core.remote import follow, record
    from core.remote.client import Jobs

    wanted = RunStore(runs).get(run)
    sent = record.read(wanted)
    if sent is None:
        raise UserError(f"The run {run!r} was never on HF Jobs.")
    if not sent.settled:
        raise RunError(
            f"A job of the run {run!r} may still be at work: `atelier resume {run}` sees its end, `atelier remote cancel {run}` "
            "ends it."
        )
    if not (yes or is_sure(f"Delete {sent.repo} at the Hub?")):
        raise UserError("Nothing was deleted.")
    follow.forget(Jobs(), sent)
    print(f"{sent.repo} is deleted.")


@remote.command(show=False)
def carry(repo: str, attempt: int) -> int:
    """Be the job: what runs on the machine."""
    from core.remote.carry import carry

    return carry(repo, attempt)


def agreed(spec: RunSpec, runs: Path, yes: bool) -> None:
    """See to it that whoever starts a run on HF Jobs knows what it costs and wants it. UserError if not."""
    from core.forecast import forecast
    from core.remote.estimate import as_text

    if spec.compute.where == "here":
        return
    seen = forecast(spec, runs)
    if seen["refusal"]:
        raise UserError(seen["refusal"])
    print(as_text(seen["remote"]), file=sys.stderr)
    if not (yes or is_sure("Start it, and pay for it?")):
        raise UserError("Nothing was started, and nothing is paid.")


def agreed_to_go_on(run: Run, yes: bool) -> None:
    """The same for a run that goes on."""
    from core.remote import record

    if record.asks_for_a_machine(run):
        agreed(run.spec, run.folder, yes)
