"""What `core.examine` says of a small set, for tests that draw it."""

from typing import Any


def seen(**changes: Any) -> dict[str, Any]:
    """A file of two questions and answers, with nothing wrong about it."""
    conversation = [
        {"role": "user", "content": "Who?", "trained": False, "calls": []},
        {"role": "assistant", "content": "Fable.", "trained": True, "calls": []},
    ]
    return {
        "files": ["/kept/0a1b/poems.csv"], "rows": 2, "kept": 2, "rejected": 0, "dropped": {},
        "shapes": {"question/answer": 2}, "kinds": {"/kept/0a1b/poems.csv": "CSV"},
        "columns": {"/kept/0a1b/poems.csv": ["Q", "A"]}, "sample": [{"Q": "Who?", "A": "Fable."}],
        "guessed": {}, "droppable": [], "languages": {}, "problems": [], "counts": {"error": {}, "warning": {}}, "measured": None,
        "examples": 1, "held_out": 1, "in_both": 0, "leaked": {"count": 0, "first": []},
        "shares": [], "first": [{"file": "/kept/0a1b/poems.csv", "line": 2, "part": 1, "tools": [], "messages": conversation}],
        "lengths": lengths(), "tokens_error": None, "encoding_problems": [], "encoding_counts": {"error": {}, "warning": {}},
        "stops": [{"ok": True, "text": "It stops."}], "template": "chatml", "added_tokens": [],
        "tokens": [{"source": "/kept/0a1b/poems.csv:2", "split": "train",
                    "tokens": [{"text": "Who?", "id": 7, "state": "context"}]}],
    } | changes  # fmt: skip


def lengths(**changes: Any) -> dict[str, Any]:
    return {
        "base": "fable", "max_length": 256, "histogram": [[0, 10, 1], [10, 20, 0], [20, 30, 3]],
        "quantiles": {"shortest": 4, "median": 21, "90 %": 25, "99 %": 28, "longest": 29},
        "costs": [{"max_length": 16, "cut_rows": 3, "cut_tokens": 30}, {"max_length": 32, "cut_rows": 0, "cut_tokens": 0}],
        "tokens": 80, "trained_tokens": 20, "longest": 29, "cut_rows": 0, "cut_tokens": 0, "skipped": 0,
    } | changes  # fmt: skip


def problem(code: str, line: int = 1, severity: str = "warning", **words: str) -> dict[str, Any]:
    said = {"why": f"It is {code}.", "fix": "Look at it."} | words
    return {
        "file": "/kept/0a1b/poems.csv",
        "line": line,
        "part": 1,
        "severity": severity,
        "code": code,
    } | said
