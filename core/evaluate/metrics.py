"""What is measured: each measure with its name, its definition and its direction, and those that compare texts.

Nothing here needs torch; the likelihoods are computed in core/evaluate/likelihood.py.
"""

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Measure:
    name: str
    label: str
    definition: str
    higher_is_better: bool


PERPLEXITY = Measure(
    "perplexity",
    "Perplexity",
    "between how many tokens the model wavers, in effect: exp of the mean negative log-likelihood per trained token, "
    "token-weighted over the held-out rows",
    higher_is_better=False,
)
TOKEN_ACCURACY = Measure(
    "token_accuracy",
    "Token accuracy",
    "share of the trained tokens of the held-out rows that the model ranks first, given all the tokens before",
    higher_is_better=True,
)
ACCURACY_NORM = Measure(
    "accuracy_norm",
    "Accuracy",
    "share of the questions of which the right choice has the greatest log-likelihood per byte of its text",
    higher_is_better=True,
)
ACCURACY = Measure(
    "accuracy",
    "Accuracy, unnormalized",
    "share of the questions of which the right choice has the greatest log-likelihood",
    higher_is_better=True,
)
EXACT_MATCH = Measure(
    "exact_match",
    "Exact match",
    "share of answers equal to the reference after Unicode NFKC, case folding, one space for each run of white space, "
    "and without full stops, question and exclamation marks at the end",
    higher_is_better=True,
)
F1 = Measure(
    "f1",
    "F1",
    "mean F1 of the words that answer and reference have in common, wherever they stand; words as in ROUGE",
    higher_is_better=True,
)
WORDS = (
    "(rouge-score 0.1.2, no stemming); a word is a run of letters, marks and digits after NFKC and case folding, in "
    "Chinese and Japanese each character"
)
ROUGE_1 = Measure("rouge_1", "ROUGE-1", f"mean F1 of words {WORDS}", higher_is_better=True)
ROUGE_2 = Measure(
    "rouge_2", "ROUGE-2", f"mean F1 of pairs of neighbouring words {WORDS}", higher_is_better=True
)
ROUGE_L = Measure(
    "rouge_l", "ROUGE-L", f"mean F1 of the longest common subsequence of words {WORDS}", higher_is_better=True
)
BLEU = Measure(
    "bleu",
    "BLEU",
    "0 to 100, of all answers together (sacreBLEU 2.6.0, nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp); of one answer "
    "alone, in the list of rows, with effective order",
    higher_is_better=True,
)
CHRF = Measure(
    "chrf",
    "chrF",
    "0 to 100, of all answers together (sacreBLEU 2.6.0, chrF2: nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no); of one "
    "answer alone in the list of rows",
    higher_is_better=True,
)
NUMBER = Measure(
    "number",
    "Right number",
    "share of answers whose number, the first after the last #### or else the last of all, is that of the reference; "
    "one without a number is wrong",
    higher_is_better=True,
)
BOXED = Measure(
    "boxed",
    "Right by mathematics",
    "share of answers whose last boxed expression, or the last expression where none is boxed, is equal to that of the "
    "reference (math-verify 0.9.0); one without any is wrong",
    higher_is_better=True,
)

SENTENCE_ENDS = ".!?。؟।"  # NFKC has already made "…" three dots and the full-width marks plain
CHARACTER_IS_WORD = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])")  # written without spaces


def exact_match(prediction: str, reference: str) -> int:
    """1 if the two say the same as EXACT_MATCH defines it, else 0."""
    return int(_essence(prediction) == _essence(reference))


def f1(prediction: str, reference: str) -> float:
    """Between 0 and 1, as F1 defines it; 0 if either has no words."""
    said, right = Counter(words(prediction)), Counter(words(reference))
    common = (said & right).total()
    return 2 * common / (said.total() + right.total()) if common else 0.0


def rouge(prediction: str, reference: str, kind: str = "rougeL") -> float:
    """F1 between 0 and 1, as ROUGE_1, ROUGE_2 and ROUGE_L define it; 0 if either has no words."""
    return _scorer(kind).score(reference, prediction)[kind].fmeasure


def sentence_bleu(prediction: str, reference: str) -> float:
    """Between 0 and 100, of one answer alone."""
    return _sacrebleu("BLEU", effective_order=True).sentence_score(prediction, [reference]).score


def sentence_chrf(prediction: str, reference: str) -> float:
    """Between 0 and 100, of one answer alone."""
    return _sacrebleu("CHRF").sentence_score(prediction, [reference]).score


def statistics(name: str, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """What BLEU or CHRF counts in each row: (rows, counts). Of their sums, `score_of` makes the score.

    sacreBLEU's own parts, by which it resamples too: it has no public names for them.
    """
    return np.array(_sacrebleu(name)._extract_corpus_statistics(list(predictions), [list(references)]), float)


def score_of(name: str, counts: np.ndarray) -> float:
    """BLEU or CHRF of summed counts."""
    return _sacrebleu(name)._compute_score_from_stats(counts.round().astype(int).tolist()).score


def words(text: str) -> list[str]:
    """rouge-score's own splitter keeps a to z and 0 to 9 only: "été" would be the word "t"."""
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in _folded(text))
    return CHARACTER_IS_WORD.sub(r" \1 ", kept).split()


def _essence(text: str) -> str:
    text = " ".join(_folded(text).split())
    return text.rstrip(SENTENCE_ENDS + " ") or text  # "?" is not the same as nothing


def _folded(text: str) -> str:
    # Twice: case folding can leave characters that NFKC would compose.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


class _Words:
    """The tokenizer that rouge-score asks for."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


@functools.cache
def _scorer(kind: str):
    from rouge_score.rouge_scorer import RougeScorer  # loads nltk, half a second

    return RougeScorer([kind], tokenizer=_Words())


@functools.cache
def _sacrebleu(name: str, **settings: bool):
    from sacrebleu import metrics

    return getattr(metrics, name)(**settings)
