"""What the modules of this folder share: lists of texts in, the score of all and of every row out."""

from collections.abc import Callable
from typing import ClassVar

import datasets
import evaluate
import numpy as np

from core.evaluate.graders import GRADERS, Grader
from core.evaluate.metrics import score_of, statistics


class Textual(evaluate.Metric):
    """Computes, for each of its measures, the score and beside it that of every row:
    {"exact_match": 0.5, "exact_match_rows": [0, 1]}."""

    measures: ClassVar[tuple[str, ...]]

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="; ".join(GRADERS[name].measure.definition for name in self.measures),
            citation="",
            inputs_description="predictions and references: lists of texts, one of each a row.",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float | list[float]]:
        found = {}
        for name in self.measures:
            grader = GRADERS[name]
            rows = [grader.mark(*pair) for pair in zip(predictions, references, strict=True)]
            found[name] = _of_all(grader)(rows, predictions, references)
            found[f"{name}_rows"] = rows
        return found


def _of_all(grader: Grader) -> Callable[[list[float], list[str], list[str]], float]:
    if grader.corpus:
        return lambda _, said, right: score_of(grader.corpus, statistics(grader.corpus, said, right).sum(0))
    return lambda rows, *_: float(np.mean(rows))
