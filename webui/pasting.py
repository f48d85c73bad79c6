"""A command line or YAML that somebody pastes, read as `atelier train` would read it."""

import re
import shlex
from dataclasses import dataclass
from typing import Any

import yaml

from core.errors import SpecError
from core.flat import nested
from core.presets import resolve
from core.spec import RunSpec, merge, sentences

WHAT = "What was pasted"  # names it in errors
LONGEST = 50_000  # characters
PRESET = re.compile(r"^#.*--preset[ =](\S+?)[:.,]?\s*$", re.MULTILINE)  # as our YAML says it
VERBS = ("train", "plan")


@dataclass(frozen=True)
class Pasted:
    """Settings over a preset, in nested plain values; `remarks` say what flat keys of other programs were taken for."""

    preset: str
    settings: dict[str, Any]
    name: str = ""  # of the run, where a command gives one
    remarks: tuple[str, ...] = ()


def read(pasted: str, preset: str) -> Pasted:
    """`preset` stands where the text names none. SpecError, in one sentence that names the setting, if it cannot be followed."""
    if len(pasted) > LONGEST:
        raise SpecError(f"{WHAT} has {len(pasted):,} characters: no settings are that long.")
    if not pasted.strip():
        raise SpecError("There is nothing to read yet: paste a command line or YAML first.")
    found = _command(pasted) if _is_command(pasted) else _yaml(pasted, preset)
    resolve(found.preset, overrides=found.settings)
    return found


def _is_command(pasted: str) -> bool:
    lines = [line for line in pasted.strip().splitlines() if not line.startswith("#")]
    return bool(re.match(r"\W*(\w+=\S+ )*(atelier|python\S* -m core)\b|--\w", lines[0] if lines else ""))


def _command(pasted: str) -> Pasted:
    # Here, because it brings every verb.
    from cyclopts import CycloptsError
    from pydantic import ValidationError

    from core.cli import app
    from core.verbs.common import harmless

    words = _words(pasted)
    try:
        _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    except ValidationError as error:
        raise SpecError(sentences(error, RunSpec)) from None
    except CycloptsError as error:
        cause = error.__cause__
        said = sentences(cause, RunSpec) if isinstance(cause, ValidationError) else str(error)
        raise SpecError(harmless(said)) from None
    given = bound.arguments
    if given.get("config"):
        raise SpecError("--config names a file that this page does not open: paste what is in it instead.")
    settings = given["settings"].model_dump(mode="json", exclude_unset=True) if given.get("settings") else {}
    if given.get("files"):
        settings = merge(settings, {"data": {"files": list(given["files"])}})
    if given.get("force_cpu"):
        settings = merge(settings, {"compute": {"force_cpu": True}})
    return Pasted(given.get("preset", "tiny"), settings, given.get("name") or "")


def _words(pasted: str) -> list[str]:
    """The verb and what follows; flags alone are those of `atelier train`."""
    try:
        words = shlex.split(re.sub(r"\\\r?\n", " ", pasted), comments=True)
    except ValueError as error:
        raise SpecError(f"{WHAT} is no whole command: {str(error).lower()}.") from None
    program = next((at for at, word in enumerate(words) if word in ("atelier", "core")), None)
    words = ["train", *words] if program is None else words[program + 1 :]
    if not words or words[0] not in VERBS:
        raise SpecError(
            f"`atelier {words[0] if words else ''}` has no settings of a run: paste `atelier train`."
        )
    if asked := {"--help", "-h", "--version"} & set(words):
        raise SpecError(f"{asked.pop()} is no setting.")
    return words


def _yaml(pasted: str, preset: str) -> Pasted:
    try:
        values = yaml.safe_load(pasted)
    except yaml.YAMLError as error:
        first = str(error).splitlines()[0]
        raise SpecError(f"{WHAT} is neither a command that begins with atelier, nor YAML: {first}.") from None
    if values is not None and not isinstance(values, dict):
        raise SpecError(
            f"{WHAT} is neither a command that begins with atelier, nor settings such as `train.epochs: 3`."
        )
    named = PRESET.search(pasted)
    translated = nested(values or {}, WHAT)
    return Pasted(named[1] if named else preset, translated.values, remarks=translated.remarks)
