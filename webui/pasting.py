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
PRESET = re.compile(
    r"# Laid over --preset (\S{1,64})[^\S\n]*(?:\n|\Z)"
)  # the first line, as our YAML says it
LONGEST_WORD = 100  # characters of a number, or of a name in an error
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


class _Settings(yaml.SafeLoader):
    """YAML without what settings have no need of, and by which a short text becomes a huge one."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            name = self.peek_event().anchor
            raise SpecError(f"{WHAT} repeats a part by its name, *{name[:LONGEST_WORD]}: write the part out.")
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        digits = len(self.construct_scalar(node))
        if digits > LONGEST_WORD:
            raise SpecError(f"{WHAT} has a number of {digits:,} digits: no setting is that large.")
        return super().construct_yaml_int(node)


_Settings.add_constructor("tag:yaml.org,2002:int", _Settings.construct_yaml_int)


def _yaml(pasted: str, preset: str) -> Pasted:
    values = _loaded(pasted)
    if values is not None and not isinstance(values, dict):
        raise SpecError(
            f"{WHAT} is neither a command that begins with atelier, nor settings such as `train.epochs: 3`."
        )
    named = PRESET.match(pasted)
    translated = nested(values or {}, WHAT)
    return Pasted(named[1] if named else preset, translated.values, remarks=translated.remarks)


def _loaded(pasted: str) -> Any:
    try:
        return yaml.load(pasted, _Settings)  # noqa: S506 (a SafeLoader)
    except RecursionError:
        raise SpecError(f"{WHAT} holds lists within lists, more than settings have.") from None
    except yaml.YAMLError as error:
        first = str(error).splitlines()[0]
        raise SpecError(f"{WHAT} is neither a command that begins with atelier, nor YAML: {first}.") from None
    # What its readers of dates, and of a tag such as !!bool, let out.
    except (AttributeError, LookupError, OverflowError, ValueError) as error:
        raise SpecError(f"{WHAT} holds a value that is not what it says to be: {error}.") from None
