"""Files that are something else than their name says: one sentence for the file, not one for every line."""

import json
import re

from core.data.lines import encoding
from core.data.remarks import Remark, excerpt

JSON_LINES = "one JSON object per line"

# Documented signatures at the beginning of a file.
SIGNATURES = (
    (b"\x1f\x8b", "a gzip archive", "Unpack it first, with gunzip."),
    (b"PK\x03\x04", "a ZIP archive or an Office document", f"Unpack it, or export its rows as {JSON_LINES}."),
    (b"BZh", "a bzip2 archive", "Unpack it first, with bunzip2."),
    (b"\xfd7zXZ\x00", "an xz archive", "Unpack it first, with unxz."),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "Unpack it first, with unzstd."),
    (b"PAR1", "a Parquet file", f"Export its rows as {JSON_LINES}."),
    (b"ARROW1", "an Arrow file", f"Export its rows as {JSON_LINES}."),
    (b"SQLite format 3\x00", "an SQLite database", f"Export its rows as {JSON_LINES}."),
    (b"%PDF-", "a PDF document", f"Examples must be written as {JSON_LINES}."),
    (b"GGUF", "a model (GGUF)", f"Choose the file that holds the examples, as {JSON_LINES}."),
)


def lookalike(head: bytes) -> Remark | None:
    """What a file called .jsonl is instead, judged by its first bytes; None if nothing speaks against it."""
    for signature, kind, fix in SIGNATURES:
        if head.startswith(signature):
            return Remark("not-jsonl", f"The file is {kind}, not JSON lines.", fix)
    codec, mark = encoding(head)
    if codec == "utf-8" and head.count(0) * 100 > len(head):
        return Remark(
            "not-jsonl", "The file is binary, not text.", f"Examples must be written as {JSON_LINES}."
        )
    # What follows the last line feed may be cut by the end of the head.
    text = head[mark:].decode(codec, "replace").lstrip()
    return _pointer(text) or _markup(text) or _spread_json(text) or _table(text)


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
        "The file is a web page, not JSON lines: a download that met a viewer, login or error page.",
        "Download the file again by its raw or download link.",
    )


def _spread_json(text: str) -> Remark | None:
    """One JSON value over many lines: an array of all rows, or objects with line breaks in them."""
    first, line_end, following = text.partition("\n")
    first = first.rstrip()
    if not line_end or not first.endswith(("[", "{", ",", ":")):
        return None
    if first.startswith("{") and first.endswith(",") and following.lstrip().startswith("{"):
        return None  # a row follows: only the first line is broken
    try:
        json.loads(first, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        if error.pos < len(first):  # wrong before its end, so not merely unfinished
            return None
    except RecursionError:
        return None
    if first.startswith("["):
        return Remark(
            "json-array",
            "The file is one JSON array over many lines; in JSON lines, each object stands on a line alone.",
            "Convert it: jq -c '.[]' old.jsonl > new.jsonl",
        )
    return Remark(
        "spread-json",
        "The file holds JSON spread over many lines; in JSON lines, each object stands on one line.",
        "Convert it: jq -c . old.jsonl > new.jsonl (with '.name[]' for . if the rows are in a list).",
    )


def _table(text: str) -> Remark | None:
    """A table with a header, of which neither the first nor the second line could begin an object."""
    top = [line.strip() for line in text.split("\n", 20) if line.strip()][:2]
    if len(top) < 2 or any(line.startswith(("{", "[")) for line in top):
        return None
    for separator, kind in ((",", "commas"), (";", "semicolons"), ("\t", "tabs")):
        header = [name.strip('" ') for name in top[0].split(separator)]
        if (
            len(header) > 1
            and separator in top[1]
            and all(re.fullmatch(r"[^\W\d][\w .()/-]{0,39}", n) for n in header)
        ):
            return Remark(
                "csv",
                f"The file is a table separated by {kind} (“{excerpt(top[0], 40)}”), not JSON lines.",
                f"Export it as {JSON_LINES}.",
            )
    return None
