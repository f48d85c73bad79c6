"""What every class of acts shares: what an act is, which settings and files a program may name, how a run is told."""

from collections.abc import Callable, Iterator
from typing import Any

from core import presets
from core.errors import SpecError
from core.flat import nested
from core.runs import Run
from core.spec import RunSpec, merge
from webui.shared import Shared

PLANNING = 300.0  # seconds: the examples are read and their tokens counted

Told = dict[str, Any]


class Acts:
    """Some of the acts: every public method is one, by its name; a final `_` is not part of it."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared


def acts(group: Acts | type[Acts]) -> Iterator[tuple[str, Callable]]:
    """Each act's name, and what does it, in the order of the file."""
    for name in vars(group if isinstance(group, type) else type(group)):
        if not name.startswith("_"):
            yield name.rstrip("_"), getattr(group, name)


def asked(shared: Shared, files: list[str], preset: str, settings: dict | None) -> tuple[RunSpec, Told]:
    """The spec that a program asks for, and what of it lies over the preset. UserError if a setting is wrong, or names a file
    that is not the program's to read."""
    if not files:
        raise SpecError("Name a file of examples in files, for example sample:fables-en.")
    values = nested(settings or {}, "settings").values
    presets.resolve(
        preset, overrides=values
    )  # before files are laid over it, which would hide a section that is none
    values = merge(values, {"data": {"files": shared.files(files)}})
    spec = presets.resolve(preset, overrides=values)
    for named in (spec.data.held_out_files, spec.data.against):
        shared.files(list(named))
    shared.tasks(spec.evaluate.tasks)
    return spec, shared.own(values)


def told(shared: Shared, run: Run) -> Told:
    from core.show import run_as_dict

    return run_as_dict(run, shared.progress(run))
