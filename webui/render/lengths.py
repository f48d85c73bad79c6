"""How long the examples are, in tokens: as a plot, in words, and what each maximum length would cost."""

from collections.abc import Sequence
from typing import Any

from webui.language import number, t
from webui.render.charts import ticks
from webui.render.data import encoding_problems, percent
from webui.render.parts import count, figures, hint, said, section, table, text

Bar = Sequence[int]  # from, up to but not with, examples
NEAR = 1.5  # times the longest example: a maximum within that is drawn in its place


def lengths(seen: dict[str, Any]) -> str:
    """Nothing where nothing was counted; why, if that is known."""
    if seen.get("tokens_error"):
        return section(t("Lengths")) + f'<p class="caution">{said(seen["tokens_error"])}</p>'
    found = seen.get("lengths")
    if not found:
        return ""
    share = found["trained_tokens"] / max(found["tokens"], 1)
    return (
        section(t("Lengths"), t("in tokens of {base}", base=found["base"]))
        + figures(
            (
                (t("Tokens an epoch"), number(found["tokens"])),
                (t("Of them trained"), percent(share)),
                (t("Examples cut"), number(found["cut_rows"])),
            )
        )
        + hint(spread(found["quantiles"]))
        + histogram(found["histogram"], found["max_length"])
        + "".join(f'<p class="caution">{text(sentence)}</p>' for sentence in losses(found))
        + encoding_problems(seen)
    )


def spread(quantiles: dict[str, int]) -> str:
    """{"shortest": 24, "median": 34, "90 %": 40, ...} in a sentence."""
    if not quantiles:
        return ""
    shares = ", ".join(
        t("{share} at most {n}", share=name, n=number(n))
        for name, n in quantiles.items()
        if name.endswith("%")
    )
    return t(
        "The shortest has {tokens}, half of them have at most {median}, {shares}; the longest has {longest}.",
        tokens=count(quantiles["shortest"], "token"),
        median=number(quantiles["median"]),
        shares=shares,
        longest=number(quantiles["longest"]),
    )


def losses(found: dict[str, Any]) -> list[str]:
    """What the maximum length costs, in sentences; none if it costs nothing."""
    lost = count(found["cut_tokens"], "token is lost", "tokens are lost")
    cut = f"{count(found['cut_rows'], 'example is cut', 'examples are cut')} ({lost})."
    out = f"{count(found['skipped'], 'example is left out', 'examples are left out')}."
    return [cut] * bool(found["cut_rows"]) + [out] * bool(found["skipped"])


def costs(seen: dict[str, Any]) -> str:
    """What is lost at each maximum length; the one that is set stands out."""
    found = seen.get("lengths")
    if not found or not found["costs"]:
        return ""
    rows = (
        (
            f"<b>{number(cost['max_length'])}</b>"
            if cost["max_length"] == found["max_length"]
            else number(cost["max_length"]),
            number(cost["cut_rows"]),
            number(cost["cut_tokens"]),
        )
        for cost in found["costs"]
    )
    heads = ("#" + t("At a maximum of"), "#" + t("Examples cut"), "#" + t("Tokens lost"))
    return table(heads, rows, "costs")


def histogram(bars: Sequence[Bar], max_length: int) -> str:
    """Examples by their length, those beyond the maximum in another colour, and a line where it is."""
    if not bars:
        return ""
    last = bars[-1][1]
    near = max_length <= last * NEAR
    end = max(last, max_length * 1.02) if near else last
    top = [mark for mark in ticks(0, max(max(some for *_, some in bars), 4), 4) if mark == int(mark)]
    line = f'<path class="limit" d="M{max_length / end * 1000:.1f} 0V1000"/>' if near else ""
    marks = [mark for mark in ticks(0, end, 6) if mark <= end]
    side = " left" if max_length > end / 2 else ""
    limit = t("maximum {n}", n=number(max_length))
    where = (
        f'<b class="limit{side}" style="left:{max_length / end:.2%}">{limit}</b>'
        if near
        else f'<b class="limit beyond">{limit} →</b>'
    )
    return (
        f'<figure class="chart lengths"><figcaption><span>{t("Examples by length")}</span></figcaption>'
        '<div class="plot"><div class="y" aria-hidden="true">'
        + "".join(f'<span style="top:{1 - mark / top[-1]:.2%}">{number(mark, ",.0f")}</span>' for mark in top)
        + '</div><div class="area"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(_in_words(bars, max_length))}">'
        + "".join(f'<path class="grid" d="M0 {1000 - mark / top[-1] * 1000:.1f}H1000"/>' for mark in top)
        + "".join(_bar(bar, end, top[-1], max_length) for bar in bars if bar[2])
        + f"{line}</svg>{where}</div></div>"
        + '<div class="x" aria-hidden="true">'
        + "".join(f'<span style="left:{mark / end:.2%}">{number(mark, ",.0f")}</span>' for mark in marks)
        + "</div></figure>"
    )


def _bar(bar: Bar, end: float, top: float, max_length: int) -> str:
    low, high, some = bar
    left, width = low / end * 1000, (high - low) / end * 1000
    height = max(some / top * 1000, 8)  # one example among thousands is still to be seen
    look = "long" if low >= max_length else "fits"
    where = t(
        "{tokens}: {examples}",
        tokens=count(low, "token") if high - low == 1 else t("{low} to {high} tokens", **_ends(low, high)),
        examples=count(some, "example"),
    )
    return (
        f'<rect class="{look}" x="{left + width * 0.06:.1f}" width="{width * 0.88:.1f}" '
        f'y="{1000 - height:.1f}" height="{height:.1f}"><title>{where}</title></rect>'
    )


def _in_words(bars: Sequence[Bar], max_length: int) -> str:
    low, high, _ = max(bars, key=lambda bar: bar[2])
    return t(
        "Examples by length; most have {low} to {high} tokens. The maximum is {maximum}.",
        **_ends(low, high),
        maximum=number(max_length),
    )


def _ends(low: int, high: int) -> dict[str, str]:
    """The first and the last length of a bar, which ends before `high`."""
    return {"low": number(low), "high": number(high - 1)}
