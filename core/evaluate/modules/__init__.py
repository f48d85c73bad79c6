"""Our measures of texts as modules of `evaluate`, loaded from this folder: nothing is fetched when one is asked for.

evaluate.load("core/evaluate/modules/rouge")        or, without the copy that loading makes:
compute(["rouge_l", "bleu"], answers, references)
"""

import tempfile
from collections.abc import Sequence
from importlib import import_module

TEXTUAL = {
    "exact_match": "exact_match",
    "f1": "f1",
    "rouge_1": "rouge",
    "rouge_2": "rouge",
    "rouge_l": "rouge",
    "bleu": "bleu",
    "chrf": "chrf",
}  # measure -> the module that computes it


def compute(
    names: Sequence[str], predictions: Sequence[str], references: Sequence[str]
) -> dict[str, list[float]]:
    """The score of every row, by measure."""
    import evaluate  # loads datasets: a second more, beside torch and transformers

    # A folder that evaluate makes even if it keeps everything in memory; its own choice may be read-only.
    with tempfile.TemporaryDirectory() as folder:
        wanted = dict.fromkeys(TEXTUAL[name] for name in names)
        made = [_class(module)(cache_dir=folder, keep_in_memory=True) for module in wanted]
        found = evaluate.combine(made).compute(predictions=list(predictions), references=list(references))
    return {name: found[f"{name}_rows"] for name in names}


def _class(module: str) -> type:
    return import_module(f"{__name__}.{module}.{module}").Module
