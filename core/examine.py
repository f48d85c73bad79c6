"""What a run would be made of, seen before anything is trained: the data, its lengths, its tokens, and whether it will stop."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.data import NoExamplesError
from core.data.doctor.leakage import leaks
from core.data.examples import Problem
from core.data.report import as_dict, as_markdown, as_plain, conversation
from core.data.select import Selected, select
from core.errors import DataError, TextError
from core.spec import RunSpec

if TYPE_CHECKING:
    from core.text.encode import Encoding  # brings transformers

FIRST = 3  # examples shown as conversations
LEAKS_SHOWN = 20
LEAKS_LOOKED = 10_000  # held-out examples whose questions are looked for, each of which takes a kilobyte


def examine(
    spec: RunSpec, rows: int = 0, tokens: bool = True, chosen: Selected | None = None
) -> dict[str, Any]:
    """Plain values for page, shell and programs; `rows` examples are shown token by token. `chosen` saves choosing them again.

    Raises DataError if a file cannot be read, and NoExamplesError if there is nothing in them to learn from. Where
    the tokenizer cannot be had, the values about tokens are null and `tokens_error` says why.
    """
    chosen = chosen or select(spec.data, thorough=True)
    report, *others = chosen.reports
    seen = as_dict(report) | {
        "measured": as_dict(others[0]) if others else None,
        "examples": len(chosen.training),
        "held_out": len(chosen.held_out),
        "in_both": chosen.in_both,
        "leaked": _leaked(chosen),
        "shares": [asdict(share) | {"times": round(share.times, 3)} for share in chosen.shares],
        "first": [conversation(example) for example in report.examples[:FIRST]],
        "lengths": None,
        "tokens_error": None,
    }
    if not tokens:
        return seen
    try:
        return seen | _tokens(spec, chosen, rows)
    except TextError as error:
        return seen | {"tokens_error": str(error)}


def is_odd(seen: dict[str, Any]) -> bool:
    """Whether there is anything to look at before a training; that some search was cut short is not."""
    warnings = seen["counts"]["warning"].keys() - {"near-duplicates-unseen"}
    encoding = seen.get("encoding_counts", {"error": {}, "warning": {}})
    return bool(
        seen["counts"]["error"]
        or warnings
        or encoding["error"]
        or encoding["warning"]
        or seen["tokens_error"]
        or not all(check["ok"] for check in seen.get("stops", ()))
        or seen["leaked"]["count"]
        or (seen["measured"] and seen["measured"]["problems"])
    )


def unusable(error: NoExamplesError) -> dict[str, Any]:
    """What can be said where there is no example."""
    return as_dict(error.report) | {"error": str(error), "lengths": None}


def write_report(seen: dict[str, Any], folder: Path) -> list[Path]:
    """report.json and report.md in the folder."""
    as_json, as_text = folder / "report.json", folder / "report.md"
    try:
        _write(seen, as_json, as_text)
    except OSError as error:
        raise DataError(f"The report cannot be written to {folder}: {error.strerror}.") from None
    return [as_json, as_text]


def count_added(as_json: Path, as_text: Path) -> None:
    """Have a report say that the clean copy has one row more, which it knows nothing of. One that cannot say so goes,
    rather than tell of other rows than there are."""
    try:
        seen = json.loads(as_json.read_text("utf-8"))
        _write(seen | {"added": seen.get("added", 0) + 1}, as_json, as_text)
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        for path in (as_json, as_text):
            with suppress(OSError):
                path.unlink()


def _write(seen: dict[str, Any], as_json: Path, as_text: Path) -> None:
    as_json.write_text(json.dumps(seen, ensure_ascii=False, indent=1), "utf-8")
    as_text.write_text(as_markdown(seen), "utf-8")


def _leaked(chosen: Selected) -> dict[str, Any]:
    """Held-out examples whose question is trained on, nearly word by word: how many, and the first of them."""
    found = list(leaks(chosen.training, chosen.held_out[:LEAKS_LOOKED]))
    first = (
        Problem(chosen.held_out.source(each.index), "warning", *each.remark()) for each in found[:LEAKS_SHOWN]
    )
    return {"count": len(found), "first": [as_plain(problem) for problem in first]}


def _counts(*encodings: "Encoding") -> dict[str, dict[str, int]]:
    """Of all encodings: severity -> code -> examples."""
    counts: dict[str, dict[str, int]] = {"error": {}, "warning": {}}
    for encoding in encodings:
        for (severity, code), times in encoding.counts.items():
            counts[severity][code] = counts[severity].get(code, 0) + times
    return counts


def _tokens(spec: RunSpec, chosen: Selected, rows: int) -> dict[str, Any]:
    from core.text.encode import Lengths, encode, show, will_it_stop
    from core.text.load import load_text

    text = load_text(spec)
    length, overlong = spec.train.max_length, spec.train.overlong
    encoded, measured = (
        encode(part, text.tokenizer, text.template, length, overlong)
        for part in (chosen.training, chosen.held_out)
    )
    lengths = Lengths(encoded)
    shown = [("train", each) for each in chosen.training[:rows]]
    shown += [("held_out", each) for each in chosen.held_out[: max(1, rows // 3) if rows else 0]]
    return {
        "lengths": {
            "base": spec.model.base,
            "max_length": length,
            "quantiles": lengths.quantiles(),
            "histogram": lengths.histogram(),
            "costs": lengths.costs(),
            "tokens": encoded.tokens,
            "trained_tokens": encoded.trained_tokens,
            "longest": max(encoded.longest, measured.longest),
            "cut_rows": encoded.cut_rows + measured.cut_rows,
            "cut_tokens": encoded.cut_tokens + measured.cut_tokens,
            "skipped": encoded.skipped + measured.skipped,
        },
        "encoding_problems": [as_plain(each) for part in (encoded, measured) for each in part.problems],
        "encoding_counts": _counts(encoded, measured),
        "stops": [
            asdict(each) for each in will_it_stop(encoded, text.template, text.tokenizer, text.stop_ids)
        ],
        "template": text.template.kind,
        "added_tokens": list(text.added),
        "tokens": [
            {
                "source": str(example.source),
                "split": split,
                "tokens": [asdict(token) for token in show(example, text.tokenizer, text.template, length)],
            }
            for split, example in shown
        ],
    }
