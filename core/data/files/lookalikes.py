"""What a file is, judged by its first bytes; its name only decides where these leave it open."""

import csv
import json
import re
from itertools import islice

from core.data.files.unpack import encoding
from core.data.remarks import Remark

JSON_LINES = "one JSON object per line"
EXPORT = f"Export its rows as CSV or as {JSON_LINES}."

# Documented signatures at the beginning of a file.
SIGNATURES = (
    (b"\x1f\x8b", "a gzip archive within an archive", "Unpack it first, with gunzip."),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive within an archive", "Unpack it first, with unzstd."),
    (b"BZh", "a bzip2 archive", "Unpack it first, with bunzip2."),
    (b"\xfd7zXZ\x00", "an xz archive", "Unpack it first, with unxz."),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it first."),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it first."),
    (b"ARROW1", "an Arrow file", EXPORT),
    (b"SQLite format 3\x00", "an SQLite database", EXPORT),
    (b"\x89HDF\r\n", "an HDF5 file", EXPORT),
    (b"\x93NUMPY", "a NumPy array", EXPORT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (.xls, .doc)", EXPORT),
    (b"%PDF-", "a PDF document", "Copy its text to a .txt file, or write examples from it."),
    (b"{\\rtf", "a rich text document", "Save it as plain text (.txt)."),
    (b"GGUF", "a model (GGUF)", f"Choose the file that holds the examples, such as {JSON_LINES}."),
    (b"\x89PNG\r\n", "a picture", "Only text is learned."),
    (b"\xff\xd8\xff", "a picture", "Only text is learned."),
)
# What the first files within a ZIP archive are called.
IN_A_ZIP = (
    (b"xl/", "an Excel workbook", "Save the sheet as “CSV UTF-8” in Excel, and choose that file."),
    (b"word/", "a Word document", "Save it as plain text (.txt)."),
    (b"application/vnd.oasis.opendocument.spreadsheet", "an OpenDocument sheet", "Save it as CSV."),
    (b"application/vnd.oasis.opendocument.text", "an OpenDocument text", "Save it as plain text (.txt)."),
    (b"data.pkl", "a model (PyTorch)", f"Choose the file that holds the examples, such as {JSON_LINES}."),
)

SNIFFED_RECORDS = 50
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
NAME = re.compile(r"[^\W\d][\w .()/-]{0,39}")
COLUMNS = re.compile(
    r"questions?|answers?|instructions?|inputs?|outputs?|prompts?|responses?|completions?|texts?|contexts?"
    r"|problems?|solutions?|query|system|user|assistant|target|réponses?|entrée|sortie|consigne|texte",
    re.IGNORECASE,
)


def refusal(head: bytes) -> Remark | None:
    """Why nothing can be read from a file with this beginning; None if nothing speaks against it."""
    for signature, kind, fix in SIGNATURES:
        if head.startswith(signature):
            return _is(kind, fix)
    if head.startswith(b"PK\x03\x04"):
        kinds = (each[1:] for each in IN_A_ZIP if each[0] in head)
        return _is(*next(kinds, ("a ZIP archive", "Unpack it first, and choose the files in it.")))
    if head[257:262] == b"ustar":
        return _is("a tar archive", "Unpack it first, with tar -x, and choose the folder.")
    codec, mark = encoding(head)
    if codec == "utf-8" and head.count(0) * 100 > len(head):
        return _is("binary, not text", EXPORT)
    # What follows the last line feed may be cut by the end of the head.
    text = head[mark:].decode(codec, "replace").lstrip()
    return _pointer(text) or _markup(text)


def _is(kind: str, fix: str) -> Remark:
    return Remark("not-jsonl", f"The file is {kind}, from which no rows can be read.", fix)


def _pointer(text: str) -> Remark | None:
    if not text.startswith("version https://git-lfs.github.com/spec/"):
        return None
    return Remark(
        "git-lfs-pointer",
        "The file is a Git LFS pointer: the data it stands for was not downloaded.",
        "Run `git lfs pull` where you cloned it, or download the file itself.",
    )


def _markup(text: str) -> Remark | None:
    if not re.match(r"<(!doctype|html|head|\?xml)\b", text, re.IGNORECASE):
        return None
    return Remark(
        "html",
        "The file is a web page, not data: a download that met a viewer, login or error page.",
        "Download the file again by its raw or download link.",
    )


def kind_of(text: str, called: str | None, whole: bool) -> str | None:
    """ "JSON lines", "JSON", "CSV", "text" or "Markdown"; None if neither content nor name say.

    `text` is the beginning of the file, or the whole of it; `called` is the kind that its name says.
    """
    text = text.lstrip("\ufeff \t\r\n")
    prose = called in ("text", "Markdown")
    if text.startswith(("{", "[")):
        json_kind = _json_kind(text, called, whole)
        if json_kind and (not prose or re.match(r'[\[\s]*\{\s*("|\})', text)):
            return json_kind
    if called == "CSV":
        return called
    complete = text if whole else text[: text.rfind("\n") + 1]
    if _is_table(complete, careful=called is None or prose):
        return "CSV"
    return "JSON lines" if called == "JSON" else called


def _json_kind(text: str, called: str | None, whole: bool) -> str | None:
    """How JSON is laid out, if this is JSON: a value over many lines, or one on each line."""
    first, line_end, following = text.partition("\n")
    first, following = first.rstrip(), following.lstrip()
    array = re.match(r"""\[\s*\{\s*["'}]""", first) is not None
    try:
        value = json.loads(first, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        if not following and (array or called == "JSON"):
            return "JSON"
        if not line_end and not whole:  # the line is longer than what is looked at
            return "JSON lines"
        if line_end and _goes_on(first, following, error.pos):
            return "JSON"
        return "JSON lines" if called == "JSON lines" or _begins_a_row(first) else None
    except RecursionError:
        return "JSON" if called == "JSON" else "JSON lines"
    alone = whole and not following
    if isinstance(value, list):
        rows = bool(value) and all(isinstance(each, dict) for each in value)
        return "JSON" if alone and (rows or called == "JSON") else "JSON lines"
    return "JSON" if alone and called != "JSON lines" else "JSON lines"


def _begins_a_row(line: str) -> bool:
    return re.match(r"""\{\s*["']""", line) is not None


def _goes_on(first: str, following: str, wrong_at: int) -> bool:
    """Whether a value that a first line begins goes on in the next: that line is merely unfinished."""
    if wrong_at < len(first):
        return False
    if first.startswith("{") and first.endswith(",") and following.startswith("{"):
        return False  # a row follows: only the first line is broken
    return first.endswith(("[", "{", ",", ":")) or following.startswith((",", "]", "}"))


def delimiter(text: str) -> str:
    """What separates the columns of a table that begins so; a comma if there is but one column."""
    return max(DELIMITERS, key=lambda each: _evenness(_records(text, each)))


def _evenness(records: list[list[str]]) -> tuple[float, int]:
    """Which share of the records has as many fields as the first, and how many; zeros if that is one."""
    if not records or len(records[0]) < 2:
        return 0.0, 0
    fields = len(records[0])
    return sum(len(record) == fields for record in records) / len(records), fields


def _records(text: str, delimiter: str) -> list[list[str]]:
    """The first records of a table, blank ones left out; none if it is no table with that delimiter."""
    lines = (line.rstrip("\r") + "\n" for line in text.split("\n"))
    filled = filter(any, csv.reader(lines, delimiter=delimiter))
    try:
        return list(islice(filled, SNIFFED_RECORDS))
    except csv.Error:
        return []


def _is_table(text: str, careful: bool) -> bool:
    """A header, and rows below it, none of which could begin an object.

    `careful` if it may be prose: verses can have a comma each.
    """
    top = [line.strip() for line in text.split("\n", 20) if line.strip()][:2]
    if len(top) < 2 or any(line.startswith(("{", "[")) for line in top):
        return False
    separator = delimiter(text)
    records = _records(text, separator)
    even, _ = _evenness(records)
    header = [name.strip() for name in records[0]] if even else []
    if separator not in top[1] or not all(NAME.fullmatch(name) for name in header) or not header:
        return False
    known = any(COLUMNS.fullmatch(name) for name in header)
    return not careful or (even == 1 and (known or (separator != "," and len(records) > 3)))
