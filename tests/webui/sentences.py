"""What core can say to a person on the page, read from its source: every text there that reads as words, but for those
of modules and calls that speak to nobody, or to programs and the shell alone.

python -m tests.webui.sentences    the sentences, each with where it stands
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

CORE = Path(__file__).parents[2] / "core"
PAGE = Path(__file__).parents[2] / "webui"
AT_START = ("accounts.py", "page.py", "programs/")  # what is wrong with the command, and what programs ask
SHELL = ("verbs/", "cli.py", "commands.py", "__main__.py", "show.py", "demo.py", "train/prove.py", "train/reproduce.py", "train/start.py",
         "data/report.py", "remote/words.py", "remote/shipping.py", "train/distributed/launching.py")  # fmt: skip
PROGRAMS = ("talk/app.py", "talk/answers.py", "talk/requests.py", "talk/door.py")  # who ask over HTTP
IN_ENGLISH = ("publish/card.py", "publish/usage.py", "evaluate/reports/markdown.py", "evaluate/reports/terminal.py",
              "evaluate/reports/page.py", "compare/page.py", "publish/results.py")  # fmt: skip
WRITERS = ("data/generate/", "data/prepared/")  # of examples, which are data themselves
MODULES = ("evaluate/modules/",)  # of the library evaluate
SILENT = (*SHELL, *PROGRAMS, *IN_ENGLISH, *WRITERS, *MODULES)
# Functions and tables of other modules that are for the shell, for files, for a model, or for programs; `as_text` of any.
UNHEARD = {
    "forecast.py": ("_table",),
    "data/doctor/texts.py": ("CANNOT", "SERVE"),
    "publish/dataset.py": ("card", "_files", "_reading", "_found", "_columns"),
    "publish/gate.py": ("_again",),
    "publish/ollama.py": ("go", "by_role"),
    "publish/parity.py": ("PROMPTS", "CONVERSATIONS", "PROBES"),
    "talk/__init__.py": ("_send",),
    "text/chatml.py": ("write",),
    "text/own.py": ("_offers_tools",),
    "train/memory.py": ("SAID",),
}
# Calls whose arguments are patterns, settings, names of files or help, and errors that are bugs.
UNSAID = {
    "compile", "match", "search", "sub", "fullmatch", "findall", "finditer", "split", "rsplit", "partition", "rpartition",
    "startswith", "endswith", "replace", "removeprefix", "removesuffix", "strip", "rstrip", "lstrip", "get", "setdefault", "pop",
    "getattr", "encode", "decode", "open", "strftime", "Field", "print", "run", "Popen", "filterwarnings", "warn", "word_set",
    "add_header", "Message", "maketrans", "get_device_name", "IndexError", "KeyError", "RuntimeError", "NotImplementedError",
    "loads", "dumps", "field", "Text", "Table", "add_argument", "Upload", "cumulate", "fromisoformat", "info", "debug", "t",
}  # fmt: skip
KEYWORDS = {"description", "help", "prefix", "suffix", "mode", "encoding", "style", "default", "message"}
# Tables and functions whose words are said each by itself.
ALONE = {
    "forecast.py": ("PARTS", "VERDICTS"),
    "compare/words.py": ("COST_HEADS", "PRICE_HEADS"),
    "compare/retrieval.py": ("WAYS",),
    "data/doctor/languages.py": ("NAMES",),
    "data/files/lookalikes.py": ("DELIMITERS",),
    "evaluate/metrics.py": ("PERPLEXITY", "F1"),
    "evaluate/report.py": ("Verdict",),
    "evaluate/reports/words.py": ("how", "kinds", "name_of", "OUTCOMES"),
    "data/shapes/fields.py": ("kind",),
}
WORDS = re.compile(
    r"^[Aa] [A-Za-z]{2}|[A-Za-z’]{2,}[.,;:!?)”]*[ \n]+[(“`'\[]*(?:[A-Za-z]{2}|[aA] |\{)|\}[.,;:)”%]*[ \n]+\(?[A-Za-z]{2}"
)
CODE = re.compile(
    r"</?[a-z]+[ >]|/>|\{%|__|^--|\\x|;\n|^#|^[A-Z_]+=|^(?:[a-z_]+ )?[a-z]+\(|^var\(|^default-src|^PARAMETER |^atelier \{|^[a-z]+\n|<\||\\b|\(\?|\{passages\}|^\[obj"
)


class Sentence(NamedTuple):
    text: str  # with {} where a value is filled in
    where: str


# What core puts together from words that are no sentences, written out, so that each has its grammar.
IN_PARTS = (
    "and",
    "or",
    "GB",
    "MB",
    "kB",
    "text",
    "{} or {}",
    "{} − {}",
    "The question is empty{}.",
    "The answer is empty{}.",
    "The row is longer than {} MB; it is skipped.",
    "The line is longer than {} MB; it is skipped.",
    "helped",
    "hurt",
    "mixed",
    "{} helps: {} in {}.",
    "{} hurts: {} in {}.",
    "{} help: {} in {}.",
    "{} hurt: {} in {}.",
    "{} training examples, the first {}: {} {}",
    "{} held-out examples, the first {}: {} {}",
    "Base answers",
    "Tuned answers",
    "Base with passages answers",
    "Tuned with passages answers",
    "Base answers {}",
    "Tuned answers {}",
    "Merged answers {}",
    "Base reads {}",
    "Tuned reads {}",
    "Merged reads {}",
    "Base chooses in {}",
    "Tuned chooses in {}",
    "Merged chooses in {}",
    "a first question",
    "your questions",
    "Opening tuned model",
    "Opening base model",
    "Opening merged model",
    "The base model finds the texts impossible ({} nats a token); {}.",
    "The tuned model finds the texts impossible ({} nats a token); {}.",
    "won",
    "tied",
    "lost",
    "better",
    "worse",
    "Difference",
    "training",
    "Accuracy",
    "greedy",
    "merged",
    "judged by {} that are long enough, of all {} rows",
    "{} kB",
    "Nothing was scored",
    "Only what might be forgotten was scored",
    "Training helped",
    "Training helped on {}",
    "No clear change",
    "base {}",
    "tuned {}",
    "base {}, tuned {}",
    "{} seconds, {} tokens written",
    "{} second, {} tokens written",
    "Products are computed in bfloat16, which this processor has.",
    "Products are computed in bfloat16, which this GPU has.",
    "Products are computed in float32: this processor has no fast bfloat16.",
    "Products are computed in float32: this GPU has no fast bfloat16.",
    "One job",
    "{} jobs",
    "{} at column {}, near “{}”.",
    "{} at column {}, near “{}”",
)
# What pydantic says of a setting that core hands on.
PYDANTIC = (
    "input should be greater than {}",
    "input should be greater than or equal to {}",
    "input should be less than {}",
    "input should be less than or equal to {}",
    "input should be a valid integer",
    "input should be a valid integer, unable to parse string as an integer",
    "input should be a valid integer, got a number with a fractional part",
    "input should be a valid number",
    "input should be a valid number, unable to parse string as a number",
    "input should be a valid string",
    "input should be a valid boolean",
    "input should be a valid boolean, unable to interpret input",
    "input should be a valid tuple",
    "input should be a finite number",
    "input should be {}",
    "string should match pattern '{}'",
    "tuple should have at least {} item after validation, not {}",
    "tuple should have at least {} items after validation, not {}",
)
# What the operating system says.
SYSTEM = (
    "No such file or directory",
    "Permission denied",
    "No space left on device",
    "Is a directory",
    "Not a directory",
    "File exists",
    "Read-only file system",
    "Address already in use",
    "Cannot assign requested address",
    "File name too long",
    "Input/output error",
)
OTHERS = [
    Sentence(text, name)
    for name, texts in (("in parts", IN_PARTS), ("pydantic", PYDANTIC), ("system", SYSTEM))
    for text in texts
]


def sentences() -> Iterator[Sentence]:
    """Of all of core, and of the tasks that it comes with."""
    for path in sorted(CORE.rglob("*.py")):
        name = path.relative_to(CORE).as_posix()
        if not name.startswith(SILENT):
            reader = _Reader(name)
            reader.visit(ast.parse(path.read_text("utf-8")))
            yield from reader.found
    for path in sorted(PAGE.rglob("*.py")):
        name = path.relative_to(PAGE).as_posix()
        if not name.startswith(AT_START):
            yield from _raised(f"page/{name}", ast.parse(path.read_text("utf-8")))
    for path in sorted(CORE.glob("evaluate/tasks/*.yaml")):
        task = yaml.safe_load(path.read_text("utf-8"))
        for text in (task["label"], task["about"], task.get("finds")):
            if text:
                yield Sentence(" ".join(text.split()), path.relative_to(CORE).as_posix())


def _raised(name: str, module: ast.Module) -> Iterator[Sentence]:
    """What the page itself refuses, which is said as core's sentences are: in the words of the `raise`, or under a name."""
    reader = _Reader(name)
    for node in ast.walk(module):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            reader.visit(node.exc)
    told = _told(module)
    for node in module.body:
        if isinstance(node, ast.Assign) and told & {getattr(each, "id", "") for each in node.targets}:
            reader.visit(node.value)
    yield from reader.found


def _told(module: ast.Module) -> set[str]:
    """The names of sentences that a `raise` says, or a function returns for one."""
    called = [
        node.exc.args
        for node in ast.walk(module)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    ]
    said = [each for arguments in called for each in arguments]
    said += [node.value for node in ast.walk(module) if isinstance(node, ast.Return)]
    said += [part for each in said if isinstance(each, ast.IfExp) for part in (each.body, each.orelse)]
    return {each.id for each in said if isinstance(each, ast.Name) and each.id.isupper()}


class _Reader(ast.NodeVisitor):
    """Gathers the sentences of one module."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: list[Sentence] = []
        self.piece = False  # within a gap of a sentence, where single words are said, too

    def add(self, node: ast.expr, text: str) -> None:
        text = text.strip()
        if (
            text
            and not CODE.search(text)
            and (WORDS.search(text) or (self.piece and re.search("[A-Za-z]{2}", text)))
        ):
            self.found.append(Sentence(text, f"{self.name}:{node.lineno}"))

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.add(node, node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.joined(node, [node])

    def visit_BinOp(self, node: ast.BinOp) -> None:
        parts = list(_added(node))
        if any(isinstance(part, ast.JoinedStr) or _text(part) for part in parts):
            self.joined(node, parts)
        else:
            self.generic_visit(node)

    def joined(self, node: ast.expr, parts: list[ast.expr]) -> None:
        pieces = [
            piece for part in parts for piece in (part.values if isinstance(part, ast.JoinedStr) else [part])
        ]
        gaps = [piece for piece in pieces if not _text(piece)]
        self.add(node, "".join(_braced(piece.value, gaps) if _text(piece) else "{}" for piece in pieces))
        whole = "".join(piece.value if _text(piece) else "{}" for piece in pieces)
        said = WORDS.search(whole) is not None and not CODE.search(whole)
        for gap in gaps:
            self.gap(gap.value if isinstance(gap, ast.FormattedValue) else gap, said)

    def gap(self, node: ast.expr, said: bool) -> None:
        before, self.piece = self.piece, said and isinstance(node, ast.IfExp | ast.BoolOp)
        self.visit(node)
        self.piece = before

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.body)
        self.visit(node.orelse)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for value in node.values:
            self.visit(value)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        before, self.piece = self.piece, self.piece and called in ("get", "Measure", "filter")
        if called == "count" and len(node.args) == 2 and _text(node.args[1]):
            many = node.args[1].value
            self.found += [
                Sentence(f"{{}} {each}", f"{self.name}:{node.lineno}")
                for each in (many.removesuffix("s"), many)
            ]
        elif called in UNSAID:
            if isinstance(node.func, ast.Attribute):
                self.visit(node.func.value)
        else:
            self.visit(node.func)
            for each in (*node.args, *(word.value for word in node.keywords if word.arg not in KEYWORDS)):
                self.visit(each)
        self.piece = before

    def visit_Compare(self, node: ast.Compare) -> None:
        pass

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)

    def visit_Dict(self, node: ast.Dict) -> None:
        for value in node.values:
            self.visit(value)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.named(node, {each.id for each in node.targets if isinstance(each, ast.Name)})

    def named(self, node: ast.Assign | ast.AnnAssign, names: set[str]) -> None:
        if not names.isdisjoint(UNHEARD.get(self.name, ())):
            return
        before, self.piece = self.piece, self.piece or not names.isdisjoint(ALONE.get(self.name, ()))
        self.visit(node.value)
        self.piece = before

    def visit_Expr(self, node: ast.Expr) -> None:
        if not _text(node.value):  # no docstring
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name in ("as_text", *UNHEARD.get(self.name, ())):
            return
        before, self.piece = self.piece, node.name in ALONE.get(self.name, ())
        for each in node.body:
            self.visit(each)
        self.piece = before

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.named(node, {node.target.id} if isinstance(node.target, ast.Name) else set())

    def visit_match_case(self, node: ast.match_case) -> None:
        for each in node.body:
            self.visit(each)


def _text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _added(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _added(node.left)
        yield from _added(node.right)
    else:
        yield node


def _braced(text: str, gaps: list[ast.expr]) -> str:
    """Braces that are no gap, as `str.format` has them, where there are gaps."""
    return text.replace("{", "{{").replace("}", "}}") if gaps else text


if __name__ == "__main__":
    for said in dict.fromkeys(sentences()):
        print(f"{said.where}\t{said.text!r}")
