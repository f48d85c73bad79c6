"""Hidden verbs: what the processes are started with that do the work."""

import json
from pathlib import Path

from core.runs.store import Run
from core.verbs.common import (
    app,
)


@app.command(show=False)
def work(folder: Path, act: str, options: str = "{}") -> int:
    """Be the process that does an act of a run."""
    from core.runs.jobs import work

    return work(Run(folder), act, json.loads(options))


@app.command(show=False)
def end(folder: Path) -> None:
    """See a run end that was asked to stop, by force if need be."""
    from core.runs.jobs import see_it_end

    see_it_end(Run(folder))


@app.command(show=False)
def rank(folder: Path) -> int:
    """Be one of the processes that train a run together."""
    from core.train.processes import be_rank

    return be_rank(folder)


@app.command(show=False)
def talk(folder: Path) -> int:
    """Be the process that answers for a run, over standard input and output."""
    from core.talk.serve import serve

    return serve(Run(folder))


@app.command(show=False)
def checkpoints(folder: Path) -> None:
    """Be the process that sends a run's checkpoints to the Hub as they land."""
    from core.publish.checkpoints import send

    send(Run(folder))
