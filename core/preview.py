"""What would be trained, seen before anything is: the tokens of a few rows, the counts, and whether it will stop."""

from dataclasses import asdict
from typing import Any

from core.data.select import select
from core.spec import RunSpec


def preview(spec: RunSpec, rows: int = 3) -> dict[str, Any]:
    """Plain values for page and shell; raises DataError if there is nothing to show."""
    from core.text.encode import encode, show, will_it_stop
    from core.text.load import load_text

    chosen = select(spec.data)
    training, held_out = chosen.training, chosen.held_out
    text = load_text(spec)
    length, overlong = spec.train.max_length, spec.train.overlong
    encoded = encode(training, text.tokenizer, text.template, length, overlong)
    measured = encode(held_out, text.tokenizer, text.template, length, overlong)
    shown = [("train", each) for each in training[:rows]] + [
        ("held_out", each) for each in held_out[: max(1, rows // 3)]
    ]
    return {
        "rows": [
            {
                "source": str(example.source),
                "split": split,
                "tokens": [asdict(token) for token in show(example, text.tokenizer, text.template, length)],
            }
            for split, example in shown
        ],
        "examples": len(training),
        "held_out": len(held_out),
        "tokens": encoded.tokens,
        "trained_tokens": encoded.trained_tokens,
        "longest": max(encoded.longest, measured.longest),
        "cut_rows": encoded.cut_rows + measured.cut_rows,
        "cut_tokens": encoded.cut_tokens + measured.cut_tokens,
        "skipped": len(encoded.skipped) + len(measured.skipped),
        "stops": [
            asdict(check)
            for check in will_it_stop(encoded.rows, text.template, text.tokenizer, text.stop_ids)
        ],
        "added_tokens": list(text.added),
    }
