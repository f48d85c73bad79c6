"""Where the time to the first step goes, part by part, told by the events of the run."""

import time
from collections.abc import Sequence

from core.runs import ENDED, Run
from core.runs.events import Begun, Event, Queued, Staged, Started, Stepped

POLL = 0.05  # seconds
Parts = list[tuple[str, float]]  # name and seconds of each, in their order


def parts(events: Sequence[Event]) -> Parts | None:
    """From the last request to the first step after it; None if that step has not come."""
    asked = max((at for at, event in enumerate(events) if isinstance(event, Queued)), default=None)
    if asked is None:
        return None
    name, since, found = "A process and its turn", events[asked].at, []
    for event in events[asked + 1 :]:
        if following := _begins(event):
            found.append((name, event.at - since))
            name, since = following, event.at
        elif isinstance(event, Stepped):
            return [*found, (name, event.at - since)]
    return None


def _begins(event: Event) -> str | None:
    """The part of the start that begins with this event."""
    match event:
        case Started():
            return "Imports"
        case Staged():
            return event.stage
        case Begun():
            return "First step"
    return None


def wait(run: Run, since: float) -> Parts | None:
    """The parts, as soon as the first step is done, from `since` (seconds since the epoch); None if the run ended before."""
    while True:
        events, _ = run.events.read()
        if found := parts(events):
            asked = next(event.at for event in reversed(events) if isinstance(event, Queued))
            return [("The command line", asked - since), *found]
        if run.progress().state in ENDED:
            return None
        time.sleep(POLL)


def as_text(found: Parts) -> str:
    lines = [f"  {seconds:6.2f} s  {name}" for name, seconds in found]
    return "\n".join([f"{sum(seconds for _, seconds in found):.1f} seconds to the first step:", *lines])
