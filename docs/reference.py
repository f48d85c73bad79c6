"""The pages of the documentation that are made from the code: settings, commands, presets, models.

python docs/reference.py
"""

import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cyclopts import App
from pydantic.fields import FieldInfo

from core import presets
from core.cli import app
from core.models import known
from core.spec import CONTRACTS, RunSpec, Section, read_yaml, settings

FOLDER = Path(__file__).resolve().parent / "reference"
MADE = "<!-- Made from the code by `python docs/reference.py`: edit it there. -->"
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def pages() -> dict[str, str]:
    """Every page that is made from the code, by its file's name."""
    written = {
        "settings.md": settings_page(),
        "commands.md": commands_page(),
        "presets.md": presets_page(),
        "models.md": models_page(),
    }
    return {name: f"{MADE}\n\n{text.strip()}\n" for name, text in written.items()}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")


# Settings


def settings_page() -> str:
    sections = [_section(name, info.annotation) for name, info in RunSpec.model_fields.items()]
    return "\n\n".join(
        (
            "# Settings",
            "Every setting of a run. In YAML it stands under its section, in a shell it is a flag, and on the page a field. "
            "What a run does not set is as the [preset](presets.md) says; what that does not set, as it says here. "
            '"None" is often not nothing: the plan chooses then, and says what and why.',
            _contents(RunSpec.model_fields),
            *sections,
        )
    )


def _contents(sections: Sequence[str]) -> str:
    counted = {name: sum(path.startswith(f"{name}.") for path in settings()) for name in sections}
    return "\n".join(f"- [{name}](#{name}): {count} settings" for name, count in counted.items())


def _section(name: str, section: type[Section]) -> str:
    return "\n\n".join(
        (f"## {name}", *(_setting(f"{name}.{key}", info) for key, info in section.model_fields.items()))
    )


def _setting(path: str, info: FieldInfo) -> str:
    facts = [
        f"- Type: {_type(info)}",
        f"- Default: {_value(info.get_default(call_default_factory=True))}",
        *_in_presets(path),
        f"- Flag: {_flag(path)}",
    ]
    parts = [f"### {path}", info.description or "", "\n".join(facts)]
    if inner := _inner(info):
        parts.append(_table(("in it", "type", "what"), _rows_within(path, inner)))
    return "\n\n".join(parts)


def _rows_within(path: str, section: type[Section]) -> Iterator[tuple[str, ...]]:
    for name, info in section.model_fields.items():
        yield f"`{path}.{name}`", f"{_type(info)}", info.description or ""


def _inner(info: FieldInfo) -> type[Section] | None:
    """The settings that a setting holds by name, as data.columns does."""
    return next(
        (each for each in _kinds(info) if isinstance(each, type) and issubclass(each, Section)),
        None,
    )


def _kinds(info: FieldInfo) -> tuple[Any, ...]:
    """The types that a setting may have, None left out."""
    annotation = info.annotation
    several = get_args(annotation) if get_origin(annotation) not in (Literal, tuple) else ()
    return tuple(each for each in (several or (annotation,)) if each is not type(None))


def _type(info: FieldInfo) -> str:
    """With its bounds: `whole number, at least 1; or none`."""
    kinds = " or ".join(map(_kind, _kinds(info)))
    return f"{kinds}{_limits(info)}" + ("; or none" if type(None) in get_args(info.annotation) else "")


def _kind(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is tuple:
        several = {str: "texts", float: "numbers"}
        each = get_args(kind)[0]
        return several.get(getattr(each, "__origin__", each), f"any of {_kind(each)}")
    words = {str: "text", int: "whole number", float: "number", bool: "yes or no"}
    return words.get(kind, "settings by name")


def _limits(info: FieldInfo) -> str:
    said = [
        f"{words} {_number(getattr(each, name))}"
        for each in info.metadata
        for name, words in BOUNDS.items()
        if getattr(each, name, None) is not None
    ]
    said += [f"like `{each.pattern}`" for each in info.metadata if getattr(each, "pattern", None)]
    return f", {', '.join(said)}" if said else ""


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _value(value: Any) -> str:
    if isinstance(value, Section) and value == type(value)() or value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(f"`{each}`" for each in (value if isinstance(value, list | tuple) else (value,)))


def _in_presets(path: str) -> Iterator[str]:
    section, _, name = path.partition(".")
    differ = {
        preset: values[section][name]
        for preset in presets.names()
        if name in (values := presets.preset(preset)).get(section, {})
    }
    if differ:
        yield "- In presets: " + ", ".join(
            f"{_value(value)} in [{name}](presets.md#{name})" for name, value in differ.items()
        )


def _flag(path: str) -> str:
    """As the command takes it; a setting that holds others also has a flag for each of them."""
    whole = f"--{path.replace('_', '-')}"
    others = [name for name in _flags() if name.startswith(f"{whole}.") or name == _negated(whole)]
    return ", ".join(f"`{name}`" for name in (whole, *others))


def _negated(flag: str) -> str:
    section, _, name = flag.rpartition(".")
    return f"{section}.no-{name}"


@cache
def _flags() -> tuple[str, ...]:
    arguments = app["train"].assemble_argument_collection()
    return tuple(name for each in arguments if each.show for name in each.names)


# Commands


def commands_page() -> str:
    every = list(_commands(app, ("atelier",)))
    head = [
        "# Commands",
        app.help or "",
        "Each of them also says this with `--help`. Exit status: 0 done, 1 the work failed, 2 the request could not be "
        "understood or begun, 130 it was stopped. Where there is `--json`, it prints one JSON object and nothing else.",
        _table(
            ("command", "what it does"),
            ((f"[`{' '.join(path)}`](#{'-'.join(path)})", _first(verb)) for path, verb in every),
        ),
    ]
    return "\n\n".join((*head, *(_command(path, verb) for path, verb in every)))


def _commands(parent: App, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], App]]:
    """Every command that can be called, those below others after them; hidden ones are for the program itself."""
    for name, verb in parent.resolved_commands().items():
        if name.startswith("-") or not verb.show:
            continue
        if verb.default_command:
            yield (*path, name), verb
        yield from _commands(verb, (*path, name))


def _first(verb: App) -> str:
    return re.split(r"(?<=[.:]) ", _words(verb)[0])[0].rstrip(":") if _words(verb) else ""


def _words(verb: App) -> list[str]:
    """What a command says of itself, in paragraphs: its docstring up to its parameters."""
    text = inspect.getdoc(verb.default_command) or ""
    before = re.split(r"\n\s*Parameters\n\s*-+", text)[0]
    return [" ".join(part.split()) for part in before.split("\n\n") if part.strip()]


def _command(path: tuple[str, ...], verb: App) -> str:
    arguments = list(verb.assemble_argument_collection(parse_docstring=True))
    own = [each for each in arguments if each.show and not _is_setting(each)]
    given = [_usage(each) for each in own if not _is_option(each)]
    usage = " ".join((*path, *given, *(["[OPTIONS]"] if len(own) > len(given) else [])))
    parts = [f"## {' '.join(path)}", *_words(verb), f"    Usage: {usage}"]
    if own:
        parts.append(_table(("", "default", "what"), map(_argument, own)))
    if len(own) < sum(each.show for each in arguments):
        parts.append("And every [setting](settings.md) as a flag, such as `--train.epochs 3`.")
    return "\n\n".join(parts)


def _is_setting(argument: Any) -> bool:
    return "." in argument.name


def _is_option(argument: Any) -> bool:
    """Whether it is always given by its name."""
    return argument.field_info.kind is inspect.Parameter.KEYWORD_ONLY


def _usage(argument: Any) -> str:
    name = argument.name.lstrip("-").upper() + ("..." if get_origin(argument.hint) is tuple else "")
    return name if argument.required else f"[{name}]"


def _argument(argument: Any) -> tuple[str, str, str]:
    names = [name for name in argument.names if name.startswith("--")]
    shown = (
        " ".join(f"`{name}`" for name in names)
        if _is_option(argument) or not names
        else f"`{_usage(argument)}`"
    )
    choices = argument.get_choices() or ()
    help_ = argument.parameter.help or ""
    told = [help_] if help_ else []
    if choices:
        told.append("One of " + ", ".join(f"`{each}`" for each in choices) + ".")
    if argument.parameter.env_var:
        told.append(
            "From the environment: " + ", ".join(f"`{each}`" for each in argument.parameter.env_var) + "."
        )
    default = argument.field_info.default
    unset = (
        argument.required or default is inspect.Parameter.empty or argument.parameter.show_default is False
    )
    return (
        shown,
        "required" if argument.required else "" if unset else _value(_plain(default)),
        " ".join(told),
    )


def _plain(value: Any) -> Any:
    return value.as_posix() if isinstance(value, Path) else value


# Presets and models


def presets_page() -> str:
    parts = [
        "# Presets",
        "Where a run starts from: `--preset NAME`, or the choice at the top of the Train page. A preset holds only what differs "
        "from the [defaults](settings.md); a YAML file (`--config`) is laid over it, and flags over that.",
    ]
    for name in presets.names():
        text = (presets.PRESETS / f"{name}.yaml").read_text("utf-8").rstrip()
        parts += [f"## {name}", f"```yaml\n{text}\n```"]
    contracts = (
        (f"`{name}`", ", ".join(f"{key} `{value}`" for key, value in contract.model_dump().items()))
        for name, contract in CONTRACTS.items()
    )
    parts += [
        "## Contracts of tokenizers",
        "Short names for [model.tokenizer_contract](settings.md#modeltokenizer_contract).",
        _table(("name", "what the tokenizer must be"), contracts),
    ]
    return "\n\n".join(parts)


def models_page() -> str:
    rows = (
        (
            f"`{model.name}`",
            f"[{model.hub}](https://huggingface.co/{model.hub})",
            f"{model.parameters / 1e6:,.0f}M",
            model.kind,
            model.licence,
            {True: "yes", False: "no", None: "not known"}[model.gated],
            f"{model.context:,}",
        )
        for model in known().values()
    )
    count = len(read_yaml(presets.PRESETS / "models.yaml"))
    return "\n\n".join(
        (
            "# Models by short names",
            f"{count} models, most of them with the pretrained one they were made from (`-base`). `--model.base` takes these names, "
            "any other model on the Hub as owner/name, and a folder. `atelier models` also says how much memory each method "
            "would need. Where access must be asked for, do so on the model's page first.",
            _table(
                ("name", "on the Hub", "parameters", "kind", "licence", "ask for access", "context, tokens"),
                rows,
            ),
        )
    )


def _table(heads: Sequence[str], rows: Any) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    main()
