"""What became of examples that were cleaned."""

from pathlib import Path
from typing import Any

from webui.language import number, t
from webui.render.data import named
from webui.render.parts import address, count, text


def files(made: dict[str, Any]) -> list[str]:
    """The files to download, in the order in which they are offered; none that is empty."""
    paths = [made[what] for what in ("cleaned", "rejected", "report", "markdown")]
    return [path for path in paths if Path(path).stat().st_size]


def saved(name: str, made: dict[str, Any]) -> str:
    words = t(
        "Saved as {name}: choose it above, or on the {page}.",
        name=f'<b translate="no">{text(name)}</b>',
        page=f'<a href="{address("train")}">{t("Train page")}</a>',
    )
    return f'<p class="done" role="status">{words}</p>{mended(made)}'


def mended(made: dict[str, Any]) -> str:
    """How many examples there are, and what was left out and mended, in a sentence."""
    said = [count(made["kept"], "example")]
    said += [
        t("{n} left out for {reason}", n=number(times), reason=named(code))
        for code, times in made["dropped"].items()
        if times
    ]
    said += [
        t("{n} mended ({what})", n=number(times), what=named(what))
        for what, times in made["mended"].items()
        if times
    ]
    return f'<p class="hint">{text(", ".join(said))}.</p>'
