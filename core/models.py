"""Models by their short names, such as llama3.2:1b: where they are on the Hub, what they may be used for, and their
sizes. Read from presets/models.yaml; needs no torch.

atelier models
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from core.errors import SpecError
from core.spec import read_yaml

FILE = Path(__file__).resolve().parent.parent / "presets" / "models.yaml"
SHORT = re.compile(r"[A-Za-z0-9][\w.-]+:[\w.-]+")  # family:size; a letter before the colon is a Windows drive


@dataclass(frozen=True)
class Model:
    """A model as it is published."""

    name: str
    hub: str  # owner/name
    kind: Literal["base", "instruct", "reasoning"]
    parameters: int  # a head tied to the embedding counted once
    licence: str  # SPDX, or its own name
    gated: bool | None  # whether its owner must be asked on its page first; None: not known
    context: int  # tokens
    shape: Mapping[str, Any] = field(hash=False)  # layers, hidden, heads, ... as `core.train.plan` reads them


@cache
def known() -> dict[str, Model]:
    """Every model that has a short name, by it, in the file's order; NAME-base follows NAME."""
    found = {}
    for name, facts in read_yaml(FILE).items():
        common = {each: facts[each] for each in ("parameters", "licence", "gated", "context", "shape")}
        answers = "reasoning" if facts.get("reasons") else "instruct"
        found[name] = Model(name, facts["hub"], answers, **common)
        if "base" in facts:
            found[f"{name}-base"] = Model(f"{name}-base", facts["base"], "base", **common)
    return found


def on_the_hub(name: str) -> str:
    """The Hub id that a short name stands for; any other name as it is.

    A short name is always the model on the Hub, whatever folders there are: one of that name is written ./NAME.
    SpecError with the nearest if it looks like a short name and is none.
    """
    if name.lower() in known():
        return known()[name.lower()].hub
    if SHORT.fullmatch(name) and not Path(name).exists():
        near = difflib.get_close_matches(name.lower(), known(), n=1, cutoff=0.5)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        raise SpecError(
            f"model.base: there is no model of the short name {name!r}. {meant}`atelier models` lists them; any other "
            "on the Hub is owner/name."
        )
    return name


def by_hub_id(name: str) -> Model | None:
    """What is known of a model on the Hub, or of a short name."""
    return next((model for model in known().values() if name in (model.name, model.hub)), None)


Needs = Callable[[Model], Mapping[str, Any]]


def as_dicts(needs: Needs | None = None) -> list[dict[str, Any]]:
    """The list, for programs. `needs` tells more of each, such as the memory by method: the planner knows."""
    return [
        {
            "name": model.name,
            "hub": model.hub,
            "kind": model.kind,
            "parameters": model.parameters,
            "licence": model.licence,
            "gated": model.gated,
            "context": model.context,
            "shape": dict(model.shape),
            **(needs(model) if needs else {}),
        }
        for model in known().values()
    ]


def as_text(rows: list[dict[str, Any]]) -> str:
    """The list, for people; what `needs` told is in columns of its own."""
    told = [name for name in (rows[0] if rows else {}) if name not in _OWN]
    table = [["name", "parameters", "kind", "licence", "asked first", "context", *told, "on the Hub"]]
    for row in rows:
        asked = {True: "yes", False: "no", None: "?"}[row["gated"]]
        size, context = f"{row['parameters'] / 1e6:,.0f}M", f"{row['context']:,}"
        more = [str(row[name]) for name in told]
        table.append([row["name"], size, row["kind"], row["licence"], asked, context, *more, row["hub"]])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )


_OWN = ("name", "hub", "kind", "parameters", "licence", "gated", "context", "shape")
