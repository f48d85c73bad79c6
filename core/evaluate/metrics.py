"""What is measured: each measure with its name, its definition and its direction, and the two that compare texts.

Nothing here needs torch; the likelihoods are computed in core/evaluate/likelihood.py.
"""

import functools
import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    name: str
    label: str
    definition: str
    higher_is_better: bool


PERPLEXITY = Measure(
    "perplexity",
    "Perplexity",
    "exp of the mean negative log-likelihood per trained token, token-weighted over the held-out rows",
    higher_is_better=False,
)
TOKEN_ACCURACY = Measure(
    "token_accuracy",
    "Token accuracy",
    "share of the trained tokens of the held-out rows that the model ranks first, given all the tokens before",
    higher_is_better=True,
)
EXACT_MATCH = Measure(
    "exact_match",
    "Exact match",
    "share of answers equal to the reference after Unicode NFKC, case folding, one space for each run of white space, "
    "and without full stops, question and exclamation marks at the end",
    higher_is_better=True,
)
ROUGE_L = Measure(
    "rouge_l",
    "ROUGE-L",
    "mean F1 of the longest common subsequence of words (rouge-score 0.1.2, no stemming); a word is a run of letters, "
    "marks and digits after NFKC and case folding, in Chinese and Japanese each character",
    higher_is_better=True,
)

SENTENCE_ENDS = ".!?。؟।"  # NFKC has already made "…" three dots and the full-width marks plain
CHARACTER_IS_WORD = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])")  # written without spaces


def exact_match(prediction: str, reference: str) -> int:
    """1 if the two say the same as EXACT_MATCH defines it, else 0."""
    return int(_essence(prediction) == _essence(reference))


def rouge_l(prediction: str, reference: str) -> float:
    """F1 between 0 and 1, as ROUGE_L defines it; 0 if either has no words."""
    return _scorer().score(reference, prediction)["rougeL"].fmeasure


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
def _scorer():
    from rouge_score.rouge_scorer import RougeScorer  # loads nltk, half a second

    return RougeScorer(["rougeL"], tokenizer=_Words())
