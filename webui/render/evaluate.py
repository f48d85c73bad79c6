"""An evaluation's report: a verdict in words for each score, and every answer side by side."""

from core.evaluate.report import Answer, Answered, Interval, Prompted, Report, Score, Sourced
from webui.render.data import file_name, source_words
from webui.render.parts import count, hint, section, table, text

ENDED = {
    "turn": "ended its turn",
    "length": "cut off at the longest allowed",
    "stopped": "stopped by you",
}
VERDICT = {
    "better": "The tuned model is better.",
    "worse": "The tuned model is worse.",
    "no clear change": "No clear change: the interval holds zero.",
}


def nothing() -> str:
    return hint("No run has been trained to its end yet. Start one on the Train page.")


def report(found: Report | None) -> str:
    if found is None:
        return hint("This run has not been scored yet.")
    how = found.settings
    return (
        section("Scores", f"{how.confidence:.0%} intervals, from {how.resamples:,} resamples of the rows")
        + f'<div class="scores">{"".join(score(each) for each in found.scores)}</div>'
        + by_source(found.by_source)
        + prompts(found.prompts)
        + answers(found.answers, how.max_new_tokens)
    )


def score(each: Score) -> str:
    """One score as a card: base, tuned and difference with their intervals on one scale, and the verdict."""
    better = "higher is better" if each.higher_is_better else "lower is better"
    return (
        f'<article class="score"><header><h3>{text(each.label)}</h3>'
        f'<span class="badge {each.verdict.split()[0]}">{text(each.verdict)}</span></header>'
        + _strip("Base", each.base, each, "pale")
        + _strip("Tuned", each.tuned, each, "prussian")
        + f'<p class="verdict">{VERDICT[each.verdict]} Difference {number(each.difference.value, "+")} '
        f"[{number(each.difference.low, '+')}, {number(each.difference.high, '+')}].</p>"
        f"<p class=definition>{text(each.definition)}; {better}; measured on {each.n:,} {text(each.of)}.</p></article>"
    )


def by_source(found: tuple[Sourced, ...]) -> str:
    """Perplexity on each data set, where there are several."""
    if not found:
        return ""
    rows = (
        (
            text(file_name(each.source)),
            f"{each.score.n:,}",
            *(
                f"{number(side.value)} [{number(side.low)}, {number(side.high)}]"
                for side in (each.score.base, each.score.tuned)
            ),
            f'<span class="badge {each.score.verdict.split()[0]}">{text(each.score.verdict)}</span>',
        )
        for each in found
    )
    return section("Perplexity by data set") + table(("Data set", "Rows", "Base", "Tuned", "Verdict"), rows)


def answers(rows: tuple[Answered, ...], longest: int) -> str:
    if not rows:
        return ""
    lines = (
        (
            f"<p>{text(row.question)}</p><small>{source_words(row.source)}</small>",
            f"<p>{text(row.reference)}</p>",
            _answer(row.base, row.exact_match.base, row.rouge_l.base),
            _answer(row.tuned, row.exact_match.tuned, row.rouge_l.tuned),
        )
        for row in rows
    )
    return section(
        "Answers side by side", f"{count(len(rows), 'held-out question')}, {longest} new tokens at most"
    ) + table(("Question", "Reference", "Base", "Tuned"), lines, "answers")


def prompts(rows: tuple[Prompted, ...]) -> str:
    if not rows:
        return ""
    lines = ((f"<p>{text(row.question)}</p>", _answer(row.base), _answer(row.tuned)) for row in rows)
    return section("Your own questions") + table(("Question", "Base", "Tuned"), lines, "answers")


def number(value: float, sign: str = "") -> str:
    """Three figures that matter, with a true minus: 80.1, 2.35, 0.412, −475."""
    size = abs(value)
    return f"{value:{sign}.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}".replace(
        "-", "−"
    )


def _answer(answer: Answer, exact: float | None = None, rouge: float | None = None) -> str:
    scored = "" if rouge is None else f"{'exact match, ' if exact else ''}ROUGE-L {rouge:.2f}, "
    said = text(answer.text) or "<i>(nothing)</i>"
    return f"<p>{said}</p><small>{scored}{count(answer.tokens, 'token')}, {ENDED[answer.ended]}</small>"


def _strip(who: str, interval: Interval, score: Score, pigment: str) -> str:
    """The interval as a band on the scale of both models."""
    low = min(score.base.low, score.tuned.low, 0.0)
    high = max(score.base.high, score.tuned.high)
    wide = (high - low) or 1.0
    left, right, at = ((value - low) / wide * 100 for value in (interval.low, interval.high, interval.value))
    return (
        f'<div class="strip {pigment}"><span>{who}</span><div aria-hidden="true">'
        f'<i style="left:{left:.1f}%;width:{max(right - left, 0.5):.1f}%"></i><b style="left:{at:.1f}%"></b></div>'
        f"<span><b>{number(interval.value)}</b> <small>[{number(interval.low)}, {number(interval.high)}]</small></span></div>"
    )
