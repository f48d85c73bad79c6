"""Fine-tune, retrieve, or both: named only where the intervals leave no doubt."""

import pytest

from core.compare.decision import cost, decide
from core.compare.retrieval import PAIRS, WAYS, Measured, Price, difference
from core.evaluate.report import Interval

PRICES = {way: Price(20 if " " not in way else 320, 10, 0.5, 0.9) for way in WAYS}
TUNED, FED, BOTH = "tuned", "base with passages", "tuned with passages"


def measured(scores: dict[str, float], doubt: float = 0.05, differ: int = 50) -> Measured:
    """Scores of the four ways, all differences known to within `doubt`, by `differ` rows that are not alike."""
    ways = {way: Interval(scores[way], scores[way] - doubt, scores[way] + doubt) for way in WAYS}
    differences = {
        difference(*pair): Interval(by, by - doubt, by + doubt, differ)
        for pair in PAIRS
        if (by := scores[pair[0]] - scores[pair[1]]) is not None
    }
    return Measured("f1", "F1", "words in common", ways, differences)


@pytest.mark.parametrize(
    "base, fed, tuned, both, outcome, words",
    [
        (0.1, 0.2, 0.6, 0.6, "fine-tune", "the tuned model alone is clearly better"),
        (0.1, 0.2, 0.6, 0.3, "fine-tune", "the tuned model alone is clearly better"),
        (0.1, 0.6, 0.2, 0.6, "retrieve", "the base with passages is clearly better"),
        (0.1, 0.4, 0.4, 0.7, "both", "clearly better than either alone"),
        (0.1, 0.4, 0.4, 0.4, "no clear difference", "tuning helps and so do passages"),
        (0.1, 0.13, 0.17, 0.17, "no clear difference", "tuning clearly helps and passages do not"),
        (0.1, 0.17, 0.13, 0.17, "no clear difference", "passages clearly help and tuning does not"),
        (0.1, 0.12, 0.12, 0.16, "no clear difference", "together they do"),
        (0.1, 0.12, 0.12, 0.12, "no clear difference", "neither tuning nor passages clearly help"),
        (0.5, 0.2, 0.3, 0.1, "no clear difference", "neither tuning nor passages clearly help"),
    ],
)
def test_the_verdict_says_what_the_intervals_say(base, fed, tuned, both, outcome, words):
    found = decide(measured({"base": base, FED: fed, TUNED: tuned, BOTH: both}), 50, PRICES, 8)
    assert found.outcome == outcome
    assert words in found.headline


def test_an_interval_that_holds_zero_decides_nothing():
    scores = {"base": 0.1, FED: 0.2, TUNED: 0.6, BOTH: 0.6}
    assert decide(measured(scores, doubt=0.05), 50, PRICES, 8).outcome == "fine-tune"
    assert decide(measured(scores, doubt=0.45), 50, PRICES, 8).outcome == "no clear difference"


def test_few_questions_decide_nothing_however_clear_they_look():
    scores = {"base": 0.0, FED: 0.0, TUNED: 1.0, BOTH: 1.0}
    found = decide(measured(scores, doubt=0.0, differ=5), 5, PRICES, 5)
    assert found.outcome == "no clear difference"
    assert "Too few questions" in found.headline
    assert all("no clear difference" in sentence for sentence in found.sentences[:-1])


def test_many_questions_of_which_few_are_answered_otherwise_decide_nothing():
    scores = {"base": 0.1, FED: 0.2, TUNED: 0.6, BOTH: 0.6}
    found = decide(measured(scores, differ=5), 50, PRICES, 8)
    assert found.outcome == "no clear difference"
    assert all("no clear difference" in sentence for sentence in found.sentences[:-1])
    assert "Only 5 questions came out differently, too few to tell." in found.sentences[0]
    assert "Only" not in decide(measured(scores, doubt=0.9, differ=5), 50, PRICES, 8).sentences[0]
    assert decide(measured(scores, differ=6), 50, PRICES, 8).outcome == "fine-tune"


def test_what_hurts_is_said_to_hurt():
    found = decide(measured({"base": 0.5, FED: 0.2, TUNED: 0.6, BOTH: 0.3}), 50, PRICES, 8)
    assert found.sentences[1].startswith("Passages alone hurt: −0.300")


def test_what_passages_cost_is_said_beside_the_verdict():
    assert "20.0 tokens to read without passages and 320.0 with them" in cost(PRICES, 8)
    assert "8 questions, asked one by one" in cost(PRICES, 8)
