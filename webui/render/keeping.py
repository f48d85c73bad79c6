"""What became of examples that were cleaned."""

from pathlib import Path
from typing import Any

from webui.render.parts import count, text


def files(made: dict[str, Any]) -> list[str]:
    """The files to download, in the order in which they are offered; none that is empty."""
    paths = [made[what] for what in ("cleaned", "rejected", "report", "markdown")]
    return [path for path in paths if Path(path).stat().st_size]


def saved(name: str, made: dict[str, Any]) -> str:
    return (
        f'<p class="done" role="status">Saved as <b>{text(name)}</b>: choose it above, or on the '
        f'<a href="./train">Train page</a>.</p>' + mended(made)
    )


def mended(made: dict[str, Any]) -> str:
    """How many examples there are, and what was left out and mended, in a sentence."""
    said = [count(made["kept"], "example")]
    said += [f"{times:,} left out for {code}" for code, times in made["dropped"].items() if times]
    said += [f"{times:,} mended ({what})" for what, times in made["mended"].items() if times]
    return f'<p class="hint">{text(", ".join(said))}.</p>'
