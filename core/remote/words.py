"""Events in a job's log, among whatever else is printed there: each is a marked line of JSON, or several.

@atelier {"event": "stepped", "step": 3, ...}
"""

from dataclasses import dataclass

from core.runs.events import Event, decode

WHOLE, PART = "@atelier ", "@atelier+ "
LONGEST = 4000  # characters of a line: what carries logs may cut longer ones, at 16 KB where containers do


def told(line: str) -> list[str]:
    """A line of events.jsonl as lines of a log."""
    parts = [line[at : at + LONGEST] for at in range(0, len(line), LONGEST)]
    return [*(PART + part for part in parts[:-1]), *(WHOLE + part for part in parts[-1:])]


@dataclass
class Listener:
    """Puts the lines of one log together again."""

    begun: str = ""

    def hear(self, line: str) -> Event | str | None:
        """The event that ends with this line; the line itself if it is not of an event; None within one."""
        if line.startswith(PART):
            self.begun += line.removeprefix(PART)
            return None
        if not line.startswith(WHOLE):
            return line
        whole, self.begun = self.begun + line.removeprefix(WHOLE), ""
        return decode(whole.encode())
