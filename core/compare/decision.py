"""Fine-tune, retrieve, or both: what the intervals say, and no more than that."""

from collections.abc import Mapping
from dataclasses import replace

from core.compare.retrieval import Decision, Measured, Price, Way, difference
from core.evaluate.bootstrap import ENOUGH_ROWS, clear
from core.evaluate.report import Interval
from core.evaluate.reports.words import count, in_brackets, number

HEADLINES = {
    "fine-tune": "Fine-tune: the tuned model alone is clearly better than the base with passages.",
    "retrieve": "Retrieve: the base with passages is clearly better than the tuned model alone.",
    "both": "Both: the tuned model with passages is clearly better than either alone.",
}
UNDECIDED = {
    "either": "No clear difference between the two: tuning helps and so do passages, and which helps more is not clear.",
    "tuning": "No clear difference between the two: tuning clearly helps and passages do not, but not clearly more than they.",
    "passages": "No clear difference between the two: passages clearly help and tuning does not, but not clearly more than it.",
    "together": "No clear difference between the two: neither clearly helps alone; together they do.",
    "neither": "No clear difference: neither tuning nor passages clearly help.",
    "few": f"Too few questions for a verdict: fewer than {ENOUGH_ROWS} cannot tell.",
}


def decide(measured: Measured, n: int, prices: Mapping[Way, Price], timed: int) -> Decision:
    """By the intervals of one measure's differences, each of which is clear if it leaves out zero and
    enough rows differ.

    One way alone is named only if it is clearly better than the base and than the other alone, and nothing is clearly
    better still; both together only if they are clearly better than each.
    """

    def of(better: Way, than: Way) -> Interval:
        return measured.differences[difference(better, than)]

    tuning, passages = of("tuned", "base"), of("base with passages", "base")
    apart = of("tuned", "base with passages")
    onto_tuning = of("tuned with passages", "tuned")
    onto_passages = of("tuned with passages", "base with passages")
    together = of("tuned with passages", "base")
    sentences = (
        _effect("Tuning alone", tuning, measured),
        _effect("Passages alone", passages, measured),
        _effect("Tuning instead of passages", apart, measured),
        _effect("Passages on top of tuning", onto_tuning, measured),
        _effect("Tuning on top of passages", onto_passages, measured),
        cost(prices, timed),
    )
    if n < ENOUGH_ROWS:
        return Decision("no clear difference", UNDECIDED["few"], sentences)
    if _above(together) and _above(onto_tuning) and _above(onto_passages):
        outcome = "both"
    elif _above(tuning) and _above(apart) and not _above(onto_tuning):
        outcome = "fine-tune"
    elif _above(passages) and _below(apart) and not _above(onto_passages):
        outcome = "retrieve"
    else:
        why = {
            (True, True): "either", (True, False): "tuning", (False, True): "passages",
            (False, False): "together" if _above(together) else "neither",
        }[_above(tuning), _above(passages)]  # fmt: skip
        return Decision("no clear difference", UNDECIDED[why], sentences)
    return Decision(outcome, HEADLINES[outcome], sentences)


def cost(prices: Mapping[Way, Price], timed: int) -> str:
    """What passages cost with each question, in tokens and time."""
    plain, fed = prices["base"], prices["base with passages"]
    return (
        f"A question is {number(plain.read)} tokens to read without passages and {number(fed.read)} with them; the median "
        f"answer took {seconds(plain.seconds)} from the base, {seconds(fed.seconds)} from the base with passages and "
        f"{seconds(prices['tuned'].seconds)} from the tuned model ({count(timed, 'questions')}, asked one by one)."
    )


def seconds(value: float) -> str:
    """`0.42 s`, `12 ms`."""
    return f"{value:.2g} s" if value >= 0.1 else f"{value * 1000:.0f} ms"


def _effect(what: str, interval: Interval, measured: Measured) -> str:
    if not clear(interval):
        how = "makes no clear difference" if what.startswith("Tuning") else "make no clear difference"
    else:
        how = "helps" if _above(interval) else "hurts"
        how = how if what.startswith("Tuning") else how.removesuffix("s")
    said = [f"{what} {how}: {in_brackets(interval, '+')} in {measured.label}."]
    if clear(replace(interval, differ=None)) and not clear(interval):
        said.append(f"Only {count(interval.differ, 'questions')} came out differently, too few to tell.")
    return " ".join(said)


def _above(interval: Interval) -> bool:
    return clear(interval) and interval.low > 0


def _below(interval: Interval) -> bool:
    return clear(interval) and interval.high < 0
