"""What marks an answer: each grader with its measure, the mark of one row, and what it finds in an answer first.

GRADERS["number"].mark("... #### 72", "#### 72") == 1.0
"""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial

from core.evaluate import metrics
from core.evaluate.metrics import Measure

Mark = Callable[[str, str], float]  # of an answer beside its reference

# A comma groups three digits, and stands for the point before one or two or after a lone 0; in 1,2,3 it does neither.
NUMBER = re.compile(
    r"""
    (?:(?<![\w.])[-−])?                                # the 4 of 3-4 is no -4
    (?: (?<!\d,) [1-9]\d{0,2}(?:,\d{3})+ (?!\d|,\d) (?:\.\d+)?          # 1,200.50
      | (?<!\d,) (?:(?:{spaced}|\d+),\d{1,2}|0,\d+) (?!\d|,\d)          # 1 200,50
      | (?:{spaced}|\d+)(?:\.\d+)?                                      # 1 200.50
      | (?<!\d)\.\d+
    )
    """.replace("{spaced}", r"\d{1,3}(?:[_\u202f\u00a0]\d{3})+(?!\d)"),
    re.VERBOSE,
)
JOINED = str.maketrans({"−": "-"} | dict.fromkeys("_\u202f\u00a0", ""))
DECIMAL_COMMA = re.compile(r"(?<=\b0),|,(?=\d{1,2}$)")
SECONDS = 5  # in which an expression must be understood


@dataclass(frozen=True)
class Grader:
    measure: Measure
    mark: Mark
    # Where the score is no mean of marks: BLEU or CHRF, whose counts of all rows are summed.
    corpus: str | None = None
    find: Callable[[str], str | None] | None = None
    finds: str = ""  # what that is, in words


def grade(names: Sequence[str], answers: Sequence[str], references: Sequence[str]) -> dict[str, list[float]]:
    """The marks of every answer, by grader; those that compare texts by the modules of `evaluate` in modules/."""
    from core.evaluate.modules import TEXTUAL, compute

    textual = [name for name in names if name in TEXTUAL]
    marks = compute(textual, answers, references) if textual and answers else dict.fromkeys(textual, [])
    pairs = list(zip(answers, references, strict=True))
    return {
        name: marks[name] if name in marks else [GRADERS[name].mark(*pair) for pair in pairs]
        for name in names
    }


def find_number(text: str) -> str | None:
    """The first number after the last ####, else the last of all, as it stands there; None if there is none.

    "3 + 4 = 7\\n#### 7 apples" -> "7"        "That makes $1,200.50." -> "1,200.50"        "Many." -> None

    Digits are grouped by commas, underscores or spaces that do not break; a plain space may as well stand between two.
    """
    before, marked, after = text.rpartition("####")
    if marked and (found := NUMBER.search(after)):
        return found[0]
    found = NUMBER.findall(before if marked else text)
    return found[-1] if found else None


def same_number(answer: str, reference: str) -> float:
    """1 if both hold a number, and the same: 1,200 is 1200.00, and 12,5 is 12.5."""
    said, right = find_number(answer), find_number(reference)
    return float(said is not None and right is not None and _value(said) == _value(right))


def find_expression(text: str) -> str | None:
    """The last boxed expression, or the last that can be read as one, as it stands there; None if there is none."""
    from core.data.prepared.sets import boxed

    found = _parsed(text)
    return (boxed(text) or str(found[-1])) if found else None


def same_expression(answer: str, reference: str) -> float:
    """1 if the two are equal as mathematics."""
    from math_verify import verify

    said, right = _parsed(answer), _parsed(reference)
    return float(bool(said and right) and verify(right, said, timeout_seconds=_seconds()))


def _parsed(text: str) -> list:
    """What is boxed last, alone, or else what can be read of the whole; the parser joins boxes into a set."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    from core.data.prepared.sets import boxed

    if last := boxed(text):
        text = rf"\boxed{{{last}}}"
    wanted = (LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig())
    return parse(text, extraction_config=wanted, parsing_timeout=_seconds())


def _seconds() -> int | None:
    """It is ended by a signal, which only the main thread can receive."""
    return SECONDS if threading.current_thread() is threading.main_thread() else None


def _value(number: str) -> Decimal:
    try:
        return Decimal(DECIMAL_COMMA.sub(".", number.translate(JOINED)).replace(",", ""))
    except InvalidOperation:
        return Decimal("NaN")  # which nothing is equal to


GRADERS = {
    "exact_match": Grader(metrics.EXACT_MATCH, metrics.exact_match),
    "f1": Grader(metrics.F1, metrics.f1),
    "rouge_1": Grader(metrics.ROUGE_1, partial(metrics.rouge, kind="rouge1")),
    "rouge_2": Grader(metrics.ROUGE_2, partial(metrics.rouge, kind="rouge2")),
    "rouge_l": Grader(metrics.ROUGE_L, metrics.rouge),
    "bleu": Grader(metrics.BLEU, metrics.sentence_bleu, corpus="BLEU"),
    "chrf": Grader(metrics.CHRF, metrics.sentence_chrf, corpus="CHRF"),
    "number": Grader(metrics.NUMBER, same_number, find=find_number, finds="a number"),
    "boxed": Grader(metrics.BOXED, same_expression, find=find_expression, finds="an expression"),
}
