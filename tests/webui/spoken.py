"""What the page says, read from its source: the words of every `t(...)`, `count(...)` and `language.js(...)`.

Words that stand in a table or a constant are looked up there; those that are made while the page runs are in MADE, so that a
new way of making some fails until it is written down there.
"""

import ast
import contextlib
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core import presets
from core.compare.retrieval import WAYS
from core.evaluate.tasks import built_in, names
from core.spec import ColumnSettings
from tests.webui.sentences import CORE, sentences
from webui import forms
from webui.render.parts import PAGES
from webui.render.plan import PARTS

PAGE = Path(__file__).parents[2] / "webui"
# The last two hand a sentence on to `js`.
SPOKEN = ("t", "sentence_for", "js", "count", "at_once", "_if_sure")


CODED = {"Remark": 0, "RowError": 0, "CodedError": 0, "Finding": 1}  # which argument is the code


def codes() -> list[str]:
    """Of the data doctor and of what cannot be read, as words."""
    found = set()
    for path in (*CORE.glob("data/**/*.py"), *CORE.glob("text/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            at = CODED.get(_called(node), len(node.args)) if isinstance(node, ast.Call) else 0
            if isinstance(node, ast.Call) and at < len(node.args):
                code = node.args[at].value if isinstance(node.args[at], ast.Constant) else None
                found |= {code.replace("-", " ")} if isinstance(code, str) else set()
    return sorted(found)


def unlike() -> list[str]:
    """What scores of runs can differ in, without the runs' values."""
    said = (each.text for each in sentences() if each.where.startswith("compare/runs.py"))
    return [text.removesuffix(" ({})") for text in said if re.match("other|another|counted", text)]


def labels() -> list[str]:
    return [forms.label(path) for path in forms.form_settings()]


# What is made while the page runs, by the module and the expression.
MADE: dict[tuple[str, str], Callable[[], list[str]]] = {
    ("render/parts.py", "f'{name} page'"): lambda: [f"{name} page" for name in PAGES.values()],
    ("render/data.py", "code.replace('-', ' ')"): codes,
    ("render/data.py", "message['role']"): lambda: ["system", "user", "assistant", "tool"],
    ("render/compare.py", "what"): unlike,
    ("render/compare.py", "way"): lambda: list(WAYS),
    ("render/compare.py", "way.capitalize()"): lambda: [way.capitalize() for way in WAYS],
    ("render/plan.py", "words"): lambda: list(PARTS.values()),
    ("runs.py", "question"): list,
    ("shared.py", "sentence"): list,
    ("render/plan.py", "label.get(change['setting'], change['setting'])"): labels,
    ("render/plan.py", "label.get(each['setting'], 'Model')"): lambda: [*labels(), "Model"],
    ("render/evaluate.py", "words.name_of(found, side)"): lambda: ["Base", "Tuned", "Merged"],
    ("render/evaluate.py", "tuned"): lambda: ["Tuned", "Merged"],
    ("render/evaluate.py", "each.of[:-1]"): lambda: ["{n} row", "{n} rows", "{n} answer", "{n} answers"],
    ("evaluate.py", "each.label"): lambda: [built_in(name).label for name in names()],
    ("forms.py", "label(path)"): labels,
    ("forms.py", "f'{info.description}{bounds(info)}'"): lambda: [
        f"{info.description}{forms.bounds(info)}" for info in forms.form_settings().values()
    ],
    ("forms.py", "name"): lambda: ["yes", "no"],
    ("train.py", "f'{name}: {forms.explanation(name)}'"): lambda: [
        f"{name}: {forms.explanation(name)}" for name in presets.names()
    ],
    ("intake/columns.py", "name.capitalize()"): lambda: [
        name.capitalize() for name in ColumnSettings.model_fields
    ],
    ("intake/columns.py", "info.description"): lambda: [
        info.description for info in ColumnSettings.model_fields.values()
    ],
    ("intake/lengths.py", "settings()[SETTING].description"): lambda: [
        forms.form_settings()["train.max_length"].description
    ],
}


class UnknownError(Exception):
    """Words of which the source does not tell what they are."""


def words() -> dict[str, str]:
    """Every word of the page, and where it is said first."""
    found: dict[str, str] = {}
    for path in sorted(PAGE.rglob("*.py")):
        name = path.relative_to(PAGE).as_posix()
        if name not in ("language.py", "sentences.py"):
            for word, line in _Module(name, path).words():
                found.setdefault(word, f"{name}:{line}")
    return found


def untold() -> list[str]:
    """Words that are made while the page runs, and are not in MADE."""
    found: list[str] = []
    for path in sorted(PAGE.rglob("*.py")):
        name = path.relative_to(PAGE).as_posix()
        if name not in ("language.py", "sentences.py"):
            found += _Module(name, path).untold()
    return found


class _Module:
    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.tree = ast.parse(path.read_text("utf-8"))
        dotted = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self.globals = vars(importlib.import_module(f"webui.{dotted}" if dotted != "__init__" else "webui"))
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        for node in ast.walk(self.tree):
            called = _called(node) if isinstance(node, ast.Call) else ""
            if (
                called in SPOKEN
                and node.args
                and not self._is_of_a_value(node)
                and not self._within_count(node)
            ):
                yield node, called

    def words(self) -> Iterator[tuple[str, int]]:
        for call, called in self.calls():
            try:
                for word in self._said(call, called):
                    yield word, call.lineno
            except UnknownError:
                continue

    def untold(self) -> Iterator[str]:
        for call, called in self.calls():
            try:
                list(self._said(call, called))
            except UnknownError as what:
                yield f"{self.name}:{call.lineno}: {what}"

    def _said(self, call: ast.Call, called: str) -> list[str]:
        if called != "count":
            return self.values(call.args[0])
        made = MADE.get((self.name, ast.unparse(call.args[1])))
        if made:
            return made()
        one, *more = (self.values(each) for each in _spread(call.args[1:], self))
        many = more[0] if more else [f"{each}s" for each in one]
        return [f"{{n}} {each}" for each in (*one, *many)]

    def _is_of_a_value(self, call: ast.Call) -> bool:
        """`text.count("x")`."""
        return _called(call) == "count" and len(call.args) < 2

    def _within_count(self, call: ast.Call) -> bool:
        node: ast.AST | None = call
        while node is not None and not isinstance(node, ast.FunctionDef):
            node = self.parents.get(node)
        return self.name == "render/parts.py" and node is not None and node.name == "count"

    def values(self, node: ast.expr) -> list[str]:
        """All the words that an expression can be; UnknownError if the source does not tell."""
        if made := MADE.get((self.name, ast.unparse(node))):
            return made()
        match node:
            case ast.Constant(value=str()):
                return [node.value]
            case ast.IfExp():
                return self.values(node.body) + self.values(node.orelse)
            case ast.BoolOp():
                return [word for value in node.values for word in self.values(value)]
            case ast.Subscript():
                return self._of_table(node)
            case ast.Call(func=ast.Attribute(attr="get")) if len(node.args) == 2:
                return _strings(self._evaluated(node.func.value)) + self.values(node.args[1])
            case ast.Call(func=ast.Attribute(attr="capitalize")):
                return [word.capitalize() for word in self.values(node.func.value)]
            case ast.Name() if node.id not in self.globals:
                return self._bound(node)
        return _strings(self._evaluated(node))

    def _of_table(self, node: ast.Subscript) -> list[str]:
        if isinstance(node.value, ast.Subscript):  # TABLE[key][1]
            rows = self._evaluated(node.value.value)
            return [
                row[self._evaluated(node.slice)]
                for row in (rows.values() if isinstance(rows, dict) else rows)
            ]
        try:
            return _strings(self._evaluated(node.value))
        except UnknownError:
            return (
                [word for word in self._bound(node.value)]
                if isinstance(node.value, ast.Name)
                else _fail(node)
            )

    def _evaluated(self, node: ast.expr, local: dict[str, Any] | None = None) -> Any:
        try:
            return eval(compile(ast.Expression(node), self.name, "eval"), self.globals, local)
        except (NameError, AttributeError, TypeError, KeyError):
            return _fail(node)

    def _local(self, node: ast.AST) -> dict[str, Any]:
        """The literals that the function around has names for."""
        while node is not None and not isinstance(node, ast.FunctionDef):
            node = self.parents.get(node)
        found = {}
        for each in ast.walk(node) if node else ():
            if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
                with contextlib.suppress(ValueError):
                    found[each.targets[0].id] = ast.literal_eval(each.value)
        return found

    def _bound(self, name: ast.Name) -> list[str]:
        """What a loop, or assignments in the same function, give a name."""
        node: ast.AST = name
        while (node := self.parents.get(node)) is not None:
            for target, values in _loops(node):
                if (path := _path(target, name.id)) is not None:
                    if isinstance(values, ast.Tuple) and path:
                        return [word for row in values.elts for word in self.values(row.elts[path[0]])]
                    there = self._evaluated(values, self._local(node))
                    return [word for each in there for word in _strings(_at(each, path))]
            if isinstance(node, ast.FunctionDef):
                given = [each.value for each in ast.walk(node) if isinstance(each, ast.Assign) and any(
                    isinstance(target, ast.Name) and target.id == name.id for target in each.targets)]  # fmt: skip
                if given:
                    return [word for value in given for word in self.values(value)]
        return _fail(name)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _spread(arguments: list[ast.expr], module: _Module) -> Iterator[ast.expr]:
    for each in arguments:
        if isinstance(each, ast.Starred):
            yield from (ast.Constant(word) for word in module._evaluated(each.value))
        else:
            yield each


def _loops(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.For):
        return [(node.target, node.iter)]
    return [(each.target, each.iter) for each in getattr(node, "generators", ())]


def _path(target: ast.expr, name: str) -> tuple[int, ...] | None:
    """Where in a target a name is: (1,) in `for kind, label in ...`."""
    if isinstance(target, ast.Name):
        return () if target.id == name else None
    for at, each in enumerate(getattr(target, "elts", ())):
        if (path := _path(each, name)) is not None:
            return (at, *path)
    return None


def _at(value: Any, path: tuple[int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return _strings(list(value.values()))
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(each, str) for each in value):
        return list(value)
    raise UnknownError(repr(value)[:80])


def _fail(node: ast.AST) -> Any:
    raise UnknownError(ast.unparse(node))
