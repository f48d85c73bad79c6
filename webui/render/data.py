"""Examples before anything is trained on them: what was read, what was not, and how the model will see it.

Everything is drawn from what `core.examine` says. Whatever stands in a file is text here, never markup.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from core.data.report import place
from webui import language
from webui.language import number, t
from webui.render.parts import alert, count, figures, hint, said, section, text

Seen = dict[str, Any]  # what `core.examine.examine` or `unusable` says
SPECIAL = re.compile(r"<\|?/?\w+\|?>")  # </s>, <|im_end|>, <0x0A>
LINES = 5  # of a kind of problem that are named at once
MORE_LINES = 50  # and when one asks for them
LONG = 1200  # characters of a message; the rest is folded away
SIGN = {"error": "not used", "warning": "used"}
ROLES = ("system", "user", "assistant", "tool")
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
BOTH = (
    "example is trained on as well, and measures nothing.",
    "examples are trained on as well, and measure nothing.",
)
HONEST = (
    "The built-in model Fable is tiny, with 7 million parameters raised on tales: it can learn to answer the way your "
    "examples do, in a minute and on any computer, but it knows nothing of the world, reasons about nothing, and is "
    "often wrong beyond what you showed it. For real work, choose a larger base model on the Train page."
)


def report(seen: Seen) -> str:
    """What was read, as figures and in words; guesses as guesses."""
    guesses = [each["why"] for each in seen["problems"] if each["code"] == "guessed-columns"]
    used_for = (
        ((t("To train on"), number(seen["examples"])), (t("Held out"), number(seen["held_out"])))
        if "examples" in seen
        else ()
    )
    dropped = sum(seen["dropped"].values())
    return (
        section(t("What was read"), names(seen["files"]))
        + figures(
            (
                (t("Rows"), number(seen["rows"])),
                (t("Used"), number(seen["rows"] - seen["rejected"])),
                (t("Not used"), number(seen["rejected"])),
                *(((t("Left out"), number(dropped)),) if dropped else ()),
                (t("Warnings"), number(sum(seen["counts"]["warning"].values()))),
                *used_for,
            )
        )
        + hint(" ".join(_in_words(seen)))
        + "".join(f'<p class="caution guess"><b>{t("A guess.")}</b> {said(why)}</p>' for why in guesses)
        + languages(seen["languages"])
        + _measured(seen.get("measured"), seen.get("in_both", 0))
        + _leaked(seen.get("leaked"))
    )


def nothing(seen: Seen) -> str:
    """Why there is no example, and what can be done on this page; empty if there is one."""
    if "error" not in seen:
        return ""
    unknown = "unknown-shape" in seen["counts"]["error"] and columns(seen)
    if not unknown:
        return alert(seen["error"])
    return f'<p class="alert" role="alert">{said(seen["error"])} {t("Say below what the columns mean.")}</p>'


def _in_words(seen: Seen) -> Iterable[str]:
    kinds = seen["kinds"]
    if len(kinds) == 1:
        (kind,) = kinds.values()
        yield t("From the Hub.") if _on_the_hub(seen) else t("The file is {kind}.", kind=language.said(kind))
    elif kinds:
        told = (
            t("{file} is {kind}", file=file_name(file), kind=language.said(kind))
            for file, kind in kinds.items()
        )
        yield _listed(told)
    shapes = seen["shapes"]
    if len(shapes) == 1:
        (shape,) = shapes
        yield t("Each row is {shape}.", shape=_shape(shape))
    elif shapes:
        told = (f"{_shape(shape)} ({count(rows, 'row')})" for shape, rows in shapes.items())
        yield t("Rows are of several shapes: {shapes}", shapes=_listed(told))


def _shape(shape: str) -> str:
    return t(SHAPES[shape]) if shape in SHAPES else t("in the shape {shape}", shape=shape)


def _listed(told: Iterable[str]) -> str:
    return t("; ").join(told) + "."


def _on_the_hub(seen: Seen) -> bool:
    return all(file.startswith("hf:") for file in seen["files"])


def _measured(seen: Seen | None, in_both: int) -> str:
    """What was read of the files that are only measured on."""
    if not seen:
        return ""
    words = t(
        "To measure on: {files}, {rows}, {used} of them used.",
        files=names(seen["files"]),
        rows=count(seen["rows"], "row"),
        used=number(seen["rows"] - seen["rejected"]),
    )
    both = count(in_both, *BOTH)
    return hint(words) + problems(seen, measured=True) + (f'<p class="caution">{both}</p>' if in_both else "")


def _leaked(found: Seen | None) -> str:
    """Held-out examples that ask nearly what is trained on."""
    if not found or not found["count"]:
        return ""
    group = problem("leaked", "warning", found["count"], found["first"])
    title = section(t("Held out, but trained on as well"), t("such examples measure little"))
    return title + _groups([group])


def languages(shares: dict[str, float]) -> str:
    """Bars, where there is more than one language."""
    if len(shares) < 2:
        return ""
    bars = "".join(
        f'<li><span>{said(name)}</span><i><b style="width:{share:.1%}"></b></i><span>{percent(share)}</span></li>'
        for name, share in shares.items()
    )
    return section(t("Languages"), t("as far as they can be told")) + f'<ul class="shares">{bars}</ul>'


def problems(seen: Seen, measured: bool = False) -> str:
    """Grouped by what is wrong, errors first, the most frequent first; `measured` of what is only measured on."""
    groups = [
        problem(code, severity, times, [each for each in seen["problems"] if each["code"] == code])
        for severity in ("error", "warning")
        for code, times in sorted(seen["counts"][severity].items(), key=lambda each: -each[1])
    ]
    if not groups:
        return hint(t("Every row can be used, and nothing about them is odd.")) if seen["rows"] else ""
    if seen["counts"]["error"]:
        title = t("Problems of what is measured on") if measured else t("Problems")
    else:
        title = t("Worth knowing of what is measured on") if measured else t("Worth knowing")
    return section(title, count(len(groups), "kind") if len(groups) > 1 else "") + _groups(groups)


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
        left = t("… and {n} more; the report below has them.", n=number(rest))
        last = f"<li>{left}</li>" if rest > 0 else ""
        words = t("{n} more", n=number(more)) if more else t("each of them")
        details = f"<details><summary>{words}</summary><ul>{rows}{last}</ul></details>"
    return (
        f'<li class="{text(severity)}"><div class="times"><b>{number(times)}</b>'
        f'<span class="badge {text(severity)}">{t(SIGN[severity])}</span></div>'
        f'<div class="said"><p>{said(first["why"])}</p><p class="fix">{said(first["fix"])}</p>'
        f'<p class="where">{where}</p>{details}</div><code class="code">{text(code)}</code></li>'
    )


def _groups(groups: Sequence[str]) -> str:
    return f'<ul class="problems">{"".join(groups)}</ul>' if groups else ""


def droppable(seen: Seen, chosen: Iterable[str]) -> list[tuple[str, str]]:
    """(label, code) of each warning whose examples can be left out."""
    found = {code: times for code, times in seen["counts"]["warning"].items() if code in seen["droppable"]}
    choices = [(f"{named(code)} ({number(times)})", code) for code, times in found.items()]
    return choices + [(named(code), code) for code in chosen if code not in found]


def named(code: str) -> str:
    """A code of the doctor's as words."""
    return t(code.replace("-", " "))


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
    file = text(names(seen["files"][:1]))
    return (
        f'<h3 class="settings">{t("The first rows as they stand in {file}", file=file)}</h3>'
        f'<div class="table sample" tabindex="0" translate="no"><table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>'
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
        section(t("The first examples"), t("as they were understood"))
        + f'<div class="examples">{shown}</div>'
        if shown
        else ""
    )


def _message(message: dict[str, Any]) -> str:
    calls = "".join(
        f"<code>{text(call['name'])}({text(shortened(call['arguments']))})</code>"
        for call in message["calls"]
    )
    role = t(message["role"]) if message["role"] in ROLES else message["role"]
    unlearned = message["role"] == "assistant" and not message["trained"]
    return (
        f'<p class="{text(message["role"])}"><b>{text(role)}{" " + t("(not learned)") if unlearned else ""}</b>'
        f'<span translate="no">{text(shortened(message["content"]))}{calls}</span></p>'
    )


def tokens(seen: Seen) -> str:
    """Rows as the model sees them, token by token, and whether it will stop."""
    if not seen.get("tokens"):
        return ""
    rows = "".join(
        f"<article><small>{source_words(row['source'])}, {t('trained on') if row['split'] == 'train' else t('held out to measure on')}</small>"
        f'<p translate="no">{"".join(_token(token, seen["added_tokens"]) for token in row["tokens"][:LONG])}</p></article>'
        for row in seen["tokens"]
    )
    checks = "".join(
        f'<li class="{"good" if check["ok"] else "bad"}">{said(check["text"])}</li>'
        for check in seen["stops"]
    )
    legend = t(
        "{trained} the model learns to write this; {context} it only reads this; {cut} too long, never seen.",
        **{state: f'<span class="{state}">{t(state)}</span>' for state in ("trained", "context", "cut")},
    )
    return (
        section(t("As the model sees them"), t("written by the template {name}", name=seen["template"]))
        + f'<p class="legend">{legend}</p><div class="tokens">{rows}</div>'
        + section(t("Will it stop?"))
        + f'<ul class="checks">{checks}</ul>'
    )


def share(seen: dict[str, Any]) -> str:
    """What becomes of a data set in the mix."""
    counted = {key: number(seen[key]) for key in ("found", "held_out", "used")}
    if seen["weight"] is None:
        return t("{found} found, {held_out} held out, {used} in an epoch", **counted)
    return t(
        "{found} found, {held_out} held out, {used} in an epoch, {times} times each",
        **counted,
        times=number(seen["times"], ".2f"),
    )


def shortened(words: str) -> str:
    more = len(words) - LONG
    return words if more <= 0 else f"{words[:LONG]} " + t("… and {n} characters more", n=number(more))


def percent(share: float) -> str:
    """`12%`; in French, `12 %`."""
    return t("{n}%", n=f"{share * 100:.0f}")


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
