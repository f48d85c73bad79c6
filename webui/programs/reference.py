"""The acts as Markdown, from their docstrings: the second half of docs/programs.md."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin

from webui.programs import GROUPS
from webui.programs.acts import acts


def reference() -> str:
    """All of the acts as Markdown, from their docstrings."""
    lines: list[str] = []
    for title, group in GROUPS.items():
        lines += [f"## {title}", ""]
        for name, act in acts(group):
            lines += [f"### {name}", "", f"    {signature(name, act)}", "", *_described(act), ""]
    return "\n".join(lines)


def signature(name: str, act: Callable) -> str:
    """`log(run: str, most_bytes: int = 20000)`"""
    shown = []
    for each in list(inspect.signature(act).parameters.values())[1:]:
        default = "" if each.default is each.empty else f" = {each.default!r}"
        shown.append(f"{each.name}: {_type(each.annotation)}{default}")
    return f"{name}({', '.join(shown)})"


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(map(repr, get_args(annotation)))
    if annotation in (str, int, float, bool, dict):
        return annotation.__name__
    if get_origin(annotation) is list:
        return f"list[{_type(get_args(annotation)[0])}]"
    if get_origin(annotation) is dict:
        return "dict"
    return " | ".join("None" if each is type(None) else _type(each) for each in get_args(annotation))


def _described(act: Callable) -> Iterator[str]:
    """The docstring as Markdown: what it is about, its parameters as a list, what is returned."""
    about, parameters, returned = _sections(inspect.getdoc(act) or "")
    yield about
    if parameters:
        yield ""
        for line in parameters:
            name, _, words = line.partition(": ")
            yield f"- `{name}`: {words}"
    if returned:
        yield f"\nReturns {returned[0]}."


def _sections(docstring: str) -> tuple[str, list[str], list[str]]:
    before, _, returned = docstring.partition("\n\nReturns:\n")
    about, _, parameters = before.partition("\n\nArgs:\n")
    lines = (list(map(str.strip, part.splitlines())) for part in (parameters, returned))
    return (about, *lines)
