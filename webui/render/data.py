"""Examples before anything is trained on them: what was read, what was not, and how the model will see it.

Everything is drawn from what `core.examine` says. Whatever stands in a file is text here, never markup.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from core.data.report import place
from webui.render.parts import alert, count, figures, hint, said, section, text

Seen = dict[str, Any]  # what `core.examine.examine` or `unusable` says
SPECIAL = re.compile(r"<\|?/?\w+\|?>")  # </s>, <|im_end|>, <0x0A>
LINES = 5  # of a kind of problem that are named at once
MORE_LINES = 50  # and when one asks for them
LONG = 1200  # characters of a message; the rest is folded away
SIGN = {"error": "not used", "warning": "used"}
SHAPES = {
    "question/answer": "a question and its answer",
    "prompt/response": "a prompt and its response",
    "prompt/completion": "a prompt and its completion",
    "alpaca": "an instruction, perhaps an input, and an output",
    "dolly": "an instruction, perhaps a context, and a response",
    "messages": "a conversation",
    "conversations": "a conversation",
    "conversation": "a conversation",
    "text": "a text to learn as it stands",
}
# Warnings about a file or the way it is written, not about what an example says: there is nothing to leave out.
HONEST = (
    "The built-in model Fable is tiny, with 7 million parameters raised on tales: it can learn to answer the way your "
    "examples do, in a minute and on any computer, but it knows nothing of the world, reasons about nothing, and is "
    "often wrong beyond what you showed it. For real work, choose a larger base model on the Train page."
)


def report(seen: Seen) -> str:
    """What was read, as figures and in words; guesses as guesses."""
    guesses = [each["why"] for each in seen["problems"] if each["code"] == "guessed-columns"]
    used_for = (
        (("To train on", f"{seen['examples']:,}"), ("Held out", f"{seen['held_out']:,}"))
        if "examples" in seen
        else ()
    )
    dropped = sum(seen["dropped"].values())
    return (
        section("What was read", names(seen["files"]))
        + figures(
            (
                ("Rows", f"{seen['rows']:,}"),
                ("Used", f"{seen['rows'] - seen['rejected']:,}"),
                ("Not used", f"{seen['rejected']:,}"),
                *((("Left out", f"{dropped:,}"),) if dropped else ()),
                ("Warnings", f"{sum(seen['counts']['warning'].values()):,}"),
                *used_for,
            )
        )
        + hint(" ".join(_in_words(seen)))
        + "".join(f'<p class="caution guess"><b>A guess.</b> {said(why)}</p>' for why in guesses)
        + languages(seen["languages"])
        + _measured(seen.get("measured"), seen.get("in_both", 0))
        + _leaked(seen.get("leaked"))
    )


def nothing(seen: Seen) -> str:
    """Why there is no example, and what can be done on this page; empty if there is one."""
    if "error" not in seen:
        return ""
    unknown = "unknown-shape" in seen["counts"]["error"] and columns(seen)
    return alert(seen["error"] + (" Say below what the columns mean." if unknown else ""))


def _in_words(seen: Seen) -> Iterable[str]:
    kinds = seen["kinds"]
    if len(kinds) == 1:
        yield f"The file is {next(iter(kinds.values()))}." if not _on_the_hub(seen) else "From the Hub."
    elif kinds:
        yield "; ".join(f"{file_name(file)} is {kind}" for file, kind in kinds.items()) + "."
    shapes = seen["shapes"]
    if len(shapes) == 1:
        (shape,) = shapes
        yield f"Each row is {SHAPES[shape]}." if shape in SHAPES else f"Each row is in the shape {shape}."
    elif shapes:
        told = (f"{SHAPES.get(shape, shape)} ({count(rows, 'row')})" for shape, rows in shapes.items())
        yield "Rows are of several shapes: " + "; ".join(told) + "."


def _on_the_hub(seen: Seen) -> bool:
    return all(file.startswith("hf:") for file in seen["files"])


def _measured(seen: Seen | None, in_both: int) -> str:
    """What was read of the files that are only measured on."""
    if not seen:
        return ""
    words = (
        f"To measure on: {names(seen['files'])}, {count(seen['rows'], 'row')}, "
        f"{seen['rows'] - seen['rejected']:,} of them used."
    )
    both = f"{count(in_both, 'example is', 'examples are')} trained on as well, and measure nothing."
    return (
        hint(words)
        + problems(seen, " of what is measured on")
        + (f'<p class="caution">{text(both)}</p>' if in_both else "")
    )


def _leaked(found: Seen | None) -> str:
    """Held-out examples that ask nearly what is trained on."""
    if not found or not found["count"]:
        return ""
    group = problem("leaked", "warning", found["count"], found["first"])
    return section("Held out, but trained on as well", "such examples measure little") + _groups([group])


def languages(shares: dict[str, float]) -> str:
    """Bars, where there is more than one language."""
    if len(shares) < 2:
        return ""
    bars = "".join(
        f'<li><span>{text(name)}</span><i><b style="width:{share:.1%}"></b></i><span>{share:.0%}</span></li>'
        for name, share in shares.items()
    )
    return section("Languages", "as far as they can be told") + f'<ul class="shares">{bars}</ul>'


def problems(seen: Seen, of: str = "") -> str:
    """Grouped by what is wrong, errors first, the most frequent first."""
    groups = [
        problem(code, severity, times, [each for each in seen["problems"] if each["code"] == code])
        for severity in ("error", "warning")
        for code, times in sorted(seen["counts"][severity].items(), key=lambda each: -each[1])
    ]
    if not groups:
        return hint("Every row can be used, and nothing about them is odd.") if seen["rows"] else ""
    title = ("Problems" if seen["counts"]["error"] else "Worth knowing") + of
    return section(title, f"{len(groups)} kinds" if len(groups) > 1 else "") + _groups(groups)


def encoding_problems(seen: Seen) -> str:
    """What became of examples that do not fit the model: cut, left out, written otherwise."""
    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for each in seen.get("encoding_problems", ()):
        alike.setdefault((each["severity"], each["code"]), []).append(each)
    return _groups(
        [
            problem(code, severity, seen["encoding_counts"][severity][code], each)
            for (severity, code), each in sorted(alike.items())
        ]
    )


def problem(code: str, severity: str, times: int, listed: Sequence[dict[str, Any]]) -> str:
    """One kind of problem: how often, what is wrong, what to do, and where."""
    first = listed[0] if listed else {"why": code, "fix": ""}
    same = all(each["why"] == first["why"] for each in listed)
    where = " ".join(source(each) for each in listed[:LINES])
    more = times - min(times, LINES)
    details = ""
    if more or not same:
        rows = "".join(
            f"<li>{source(each)} {'' if same else said(each['why'])}</li>" for each in listed[:MORE_LINES]
        )
        rest = times - min(len(listed), MORE_LINES)
        last = f"<li>… and {rest:,} more; the report below has them.</li>" if rest > 0 else ""
        words = f"{more:,} more" if more else "each of them"
        details = f"<details><summary>{words}</summary><ul>{rows}{last}</ul></details>"
    return (
        f'<li class="{text(severity)}"><div class="times"><b>{times:,}</b>'
        f'<span class="badge {text(severity)}">{SIGN.get(severity, "")}</span></div>'
        f'<div class="said"><p>{said(first["why"])}</p><p class="fix">{said(first["fix"])}</p>'
        f'<p class="where">{where}</p>{details}</div><code class="code">{text(code)}</code></li>'
    )


def _groups(groups: Sequence[str]) -> str:
    return f'<ul class="problems">{"".join(groups)}</ul>' if groups else ""


def droppable(seen: Seen, chosen: Iterable[str]) -> list[tuple[str, str]]:
    """(label, code) of each warning whose examples can be left out."""
    found = {code: times for code, times in seen["counts"]["warning"].items() if code in seen["droppable"]}
    choices = [(f"{code.replace('-', ' ')} ({times:,})", code) for code, times in found.items()]
    choices += [(code.replace("-", " "), code) for code in chosen if code not in found]
    return choices


def guessed(seen: Seen) -> dict[str, str]:
    """What columns were taken to mean, where that was a guess: {"question": "QUESTIONS", ...}."""
    return next(iter(seen["guessed"].values()), {})


def columns(seen: Seen) -> list[str]:
    """The columns of all files, in their order, each once."""
    return list(dict.fromkeys(key for keys in seen["columns"].values() for key in keys))


def sample(seen: Seen) -> str:
    """The first rows as they stand in the file."""
    if not seen["sample"]:
        return ""
    heads = list(dict.fromkeys(key for row in seen["sample"] for key in row))
    top = "".join(f"<th>{text(head)}</th>" for head in heads)
    rows = "".join(
        "<tr>" + "".join(f"<td><div>{text(row.get(head, ''))}</div></td>" for head in heads) + "</tr>"
        for row in seen["sample"]
    )
    return (
        f'<h3 class="settings">The first rows as they stand in {text(names(seen["files"][:1]))}</h3>'
        f'<div class="table sample" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def examples(seen: Seen) -> str:
    """The first examples as the conversations they were understood to be."""
    shown = "".join(
        f'<article class="example"><small>{source(example)}</small>'
        + "".join(_message(message) for message in example["messages"])
        + "</article>"
        for example in seen.get("first", ())
    )
    return (
        section("The first examples", "as they were understood") + f'<div class="examples">{shown}</div>'
        if shown
        else ""
    )


def _message(message: dict[str, Any]) -> str:
    calls = "".join(
        f"<code>{text(call['name'])}({text(shortened(call['arguments']))})</code>"
        for call in message["calls"]
    )
    unlearned = message["role"] == "assistant" and not message["trained"]
    return (
        f'<p class="{text(message["role"])}"><b>{text(message["role"])}{" (not learned)" if unlearned else ""}</b>'
        f"<span>{text(shortened(message['content']))}{calls}</span></p>"
    )


def tokens(seen: Seen) -> str:
    """Rows as the model sees them, token by token, and whether it will stop."""
    if not seen.get("tokens"):
        return ""
    rows = "".join(
        f"<article><small>{source_words(row['source'])}, "
        f"{'trained on' if row['split'] == 'train' else 'held out to measure on'}</small>"
        f"<p>{''.join(_token(token, seen['added_tokens']) for token in row['tokens'][:LONG])}</p></article>"
        for row in seen["tokens"]
    )
    checks = "".join(
        f'<li class="{"good" if check["ok"] else "bad"}">{text(check["text"])}</li>'
        for check in seen["stops"]
    )
    return (
        section("As the model sees them", f"written by the template {seen['template']}")
        + '<p class="legend"><span class="trained">trained</span> the model learns to write this; '
        '<span class="context">context</span> it only reads this; <span class="cut">cut</span> too long, never seen.</p>'
        + f'<div class="tokens">{rows}</div>'
        + section("Will it stop?")
        + f'<ul class="checks">{checks}</ul>'
    )


def share(seen: dict[str, Any]) -> str:
    """What becomes of a data set in the mix."""
    again = f", {seen['times']:.2f} times each" if seen["weight"] is not None else ""
    return f"{seen['found']:,} found, {seen['held_out']:,} held out, {seen['used']:,} in an epoch{again}"


def shortened(words: str) -> str:
    return words if len(words) <= LONG else f"{words[:LONG]} … and {len(words) - LONG:,} characters more"


def source(where: dict[str, Any]) -> str:
    """`poems.jsonl:3` of a problem or an example; `poems.json:1#12` where a line holds several."""
    return f"<code>{text(place(where | {'file': file_name(where['file'])}))}</code>"


def source_words(where: str) -> str:
    """`/kept/0a1b/poems.jsonl:3` as `poems.jsonl:3`."""
    file, _, line = where.rpartition(":")
    return f"<code>{text(file_name(file))}:{text(line)}</code>"


def names(files: Iterable[str]) -> str:
    return ", ".join(map(file_name, files))


def file_name(file: str) -> str:
    """A file by its last part; a built-in sample and a data set on the Hub by their names."""
    if file.startswith("hf:"):
        return unquote(file.removeprefix("hf:"))
    return file if file.startswith("sample:") else Path(file).name


def _token(token: dict[str, Any], added: list[str]) -> str:
    special = " special" if token["text"] in added or SPECIAL.fullmatch(token["text"]) else ""
    shown = text(token["text"]).replace("\n", "<s>↵</s><wbr>")
    return f'<span class="{token["state"]}{special}" title="id {token["id"]:d}">{shown}</span>'
