"""The card before a training starts: what `atelier plan` says, so that one sees at a glance whether to begin."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from core.remote.estimate import as_text as costs
from core.spec import RunSpec
from webui.language import number, t
from webui.render.parts import alert, count, duration, plain, said, size, table, text

Seen = dict[str, Any]  # what `atelier plan --json` says
OFFERED = 3  # changes that would make it fit
VERDICTS = {"fits": "It fits", "tight": "It is tight", "does not fit": "It does not fit"}
# Of the memory, in the order in which it is drawn; what is drawn as one has one name.
PARTS = {
    "process": "program",
    "code": "program",
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimizer",
    "activations": "activations",
    "logits": "logits and loss",
    "reserve": "reserve",
}
WHAT = {
    "adapter": "the small adapter",
    "merged": "the whole model",
    "gguf": "GGUF files for llama.cpp and Ollama",
}


def empty() -> str:
    """What stands there until the first plan comes: as large, so that nothing moves."""
    return '<div class="skeleton" aria-hidden="true">' + "<i></i>" * 9 + "</div>"


def none(sentence: str) -> str:
    """Why there is no plan."""
    return f'<div class="unplanned">{alert(sentence)}</div>'


def unset() -> str:
    return f'<div class="unplanned"><p class="hint">{t("The plan comes as soon as the settings can be used.")}</p></div>'


def card(seen: Seen, spec: RunSpec, label: dict[str, str]) -> str:
    """`label` has the name of each setting's field by its path."""
    side = (
        "training"
        if seen["memory"]["training"]["needed"] >= seen["memory"]["evaluation"]["needed"]
        else "evaluation"
    )
    return (
        _verdict(seen, side)
        + _memory(seen["memory"][side])
        + _refused(seen, spec)
        + _changes(seen, label)
        + _facts(seen, spec)
        + _warnings(seen)
        + _choices(seen, label)
        + _machines(seen)
    )


def _verdict(seen: Seen, side: str) -> str:
    """The answer, with how much of the memory it takes."""
    needed, limit = seen["memory"][side]["needed"], seen["memory"]["limit"]
    kind = seen["verdict"].replace(" ", "-")
    words = {
        "training": "{needed} of memory at most; {limit} are there ({device})",
        "evaluation": "{needed} of memory at most, while scoring; {limit} are there ({device})",
    }
    taken = t(words[side], needed=size(needed), limit=size(limit), device=text(seen["device"]["name"]))
    full = max(needed, limit)
    return (
        f'<div class="fit {kind}"><h3>{t(VERDICTS[seen["verdict"]])}</h3><p>{taken}</p>'
        f'<div class="gauge"><i style="width:{100 * min(needed, limit) / full:.1f}%"></i>'
        f'<b style="width:{100 * max(0, needed - limit) / full:.1f}%"></b></div></div>'
    )


def _memory(side: dict[str, int]) -> str:
    """By part. Not all is taken at once, so the parts are drawn as shares of their sum."""
    parts: dict[str, int] = {}
    for name, words in PARTS.items():
        parts[words] = parts.get(words, 0) + side[name]
    parts = {words: taken for words, taken in parts.items() if taken}
    whole = sum(parts.values())
    kinds = {words: words.split()[0] for words in parts}
    drawn = "".join(
        f'<i class="{kinds[words]}" style="width:{100 * taken / whole:.2f}%"></i>'
        for words, taken in parts.items()
    )
    rows = "".join(
        f'<div><dt class="{kinds[words]}">{t(words)}</dt><dd>{size(taken)}</dd></div>'
        for words, taken in parts.items()
    )
    return f'<div class="memory"><div class="parts" aria-hidden="true">{drawn}</div><dl>{rows}</dl></div>'


def _refused(seen: Seen, spec: RunSpec) -> str:
    """Why it would not begin, and the tick that lets it, where that is the time."""
    tick = ""
    if seen["asks_for_hours"]:
        words = t("Train for about {time} on this processor all the same", time=duration(seen["seconds"]))
        checked = " checked" if spec.compute.force_cpu else ""
        tick = (
            f'<label class="tick"><input type="checkbox" data-setting="compute.force_cpu" data-value="&quot;True&quot;"{checked}> '
            f"<span>{words}</span></label>"
        )
    refused = seen["refusal"] and alert(seen["refusal"])
    return (refused or "") + tick


def _changes(seen: Seen, label: dict[str, str]) -> str:
    """Settings that would make it fit, a button each; where none does by itself, those that bring it nearer."""
    changes = seen["changes"]
    fitting = [each for each in changes if each["fits"]]
    offered = (fitting or changes)[:OFFERED]
    if not offered:
        return ""
    lead = (
        t("What makes it fit, the least harmful first:") if fitting else t("None of these is enough alone:")
    )
    return f'<div class="changes"><p>{lead}</p>{"".join(_change(each, label) for each in offered)}</div>'


def _change(change: dict[str, Any], label: dict[str, str]) -> str:
    value = change["value"]
    held = str(value) if isinstance(value, bool) else value
    named = t(
        "{setting}: {value}",
        setting=text(t(label.get(change["setting"], change["setting"]))),
        value=text(plain(value)),
    )
    saves = t("{size} less", size=size(change["saves"]))
    return (
        f'<button type="button" data-setting="{text(change["setting"])}" data-value="{text(json.dumps(held))}">'
        f"<b>{named}</b><small>{saves}; {said(change['cost'])}</small></button>"
    )


def _facts(seen: Seen, spec: RunSpec) -> str:
    rows = (
        (t("Examples"), _examples(seen)),
        (t("Tokens"), _tokens(seen, spec)),
        (t("Cut or left out"), _left_out(seen, spec)),
        (t("Steps"), _steps(seen)),
        (t("Time"), _time(seen)),
        (t("Disk"), _disk(seen)),
        (t("Will it stop?"), _stops(seen)),
        (t("Published"), _published(seen, spec)),
    )
    return (
        '<dl class="facts">' + "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in rows if v) + "</dl>"
    )


def _examples(seen: Seen) -> str:
    return t(
        "{training} to train on, {held_out} held out",
        training=f"<b>{number(seen['examples'])}</b>", held_out=number(seen["held_out"]),
    )  # fmt: skip


def _tokens(seen: Seen, spec: RunSpec) -> str:
    guessed = seen["tokens_guessed"]
    words = t(
        "{tokens} in each epoch; the longest example has {longest} of {limit}"
        if guessed
        else "{tokens} in each epoch, {share} % of them learned; the longest example has {longest} of {limit}",
        tokens=f"<b>{number(seen['tokens'])}</b>",
        share=number(100 * seen["trained_tokens"] / max(1, seen["tokens"]), ".0f"),
        longest=number(seen["longest"]),
        limit=number(spec.train.max_length),
    )
    return words + (f"<small>{t('Guessed from letters:')} {said(guessed)}</small>" if guessed else "")


def _left_out(seen: Seen, spec: RunSpec) -> str:
    """What is cut or not used, and why."""
    found = [
        f"{t('{rows}: {why}', rows=count(each['times'], 'row'), why=said(each['why']))}"
        for each in seen["left_out"]
    ]
    if seen["cut_rows"]:
        words = t(
            "{examples} cut at {limit} tokens ({lost} lost)",
            examples=count(seen["cut_rows"], "example"),
            limit=number(spec.train.max_length),
            lost=count(seen["cut_tokens"], "token"),
        )
        found.insert(0, words)
    return "<br>".join(found) or t("nothing; no example is cut")


def _steps(seen: Seen) -> str:
    words = t(
        "{steps} of {examples}",
        steps=f"<b>{count(seen['total_steps'], 'step')}</b>", examples=count(seen["batch_size"], "example"),
    )  # fmt: skip
    if seen["accumulation"] > 1:
        words += ", " + t("each in about {n} parts", n=number(seen["accumulation"]))
    return words + "; " + t("measured every {n}", n=number(seen["evaluate_every"]))


def _time(seen: Seen) -> str:
    if seen["remote"]:
        return said(costs(seen["remote"]))
    step = seen["seconds_per_step"]
    return t(
        "about {time}, {step} s a step; scoring comes on top",
        time=f"<b>{duration(seen['seconds'])}</b>", step=number(step, ".2g" if step < 10 else ",.0f"),
    )  # fmt: skip


def _disk(seen: Seen) -> str:
    return t(
        "{size} for checkpoints and the model, of {free} free",
        size=f"<b>{size(seen['disk_bytes'])}</b>", free=size(seen["disk_free"]),
    )  # fmt: skip


def _stops(seen: Seen) -> str:
    """What a person asks: does it learn where an answer ends? In full where something is amiss."""
    checks = seen["stops"]
    if checks is None:
        return t("not known without the tokenizer")
    amiss = [each for each in checks if not each["ok"]]
    return (
        _checks(("bad", each["text"]) for each in amiss) if amiss else _checks([("good", checks[0]["text"])])
    )


def _checks(items: Iterable[tuple[str, str]]) -> str:
    """Sentences of core's, each with its sign."""
    listed = "".join(f'<li class="{sign}">{said(sentence)}</li>' for sign, sentence in items)
    return f'<ul class="checks">{listed}</ul>' if listed else ""


def _published(seen: Seen, spec: RunSpec) -> str:
    publish = spec.publish
    if not publish.to:
        return t("nowhere; the model stays here")
    words = t(
        "{what}, to {repository} ({seen_by})",
        what=t(WHAT[publish.what]), repository=f"<b>{text(publish.to)}</b>",
        seen_by=t("private") if publish.private else t("public"),
    )  # fmt: skip
    found = seen["publishing"] or {"findings": [], "refusal": None}
    items = [("bad", found["refusal"])] if found["refusal"] else []
    items += [("bad", each["text"]) for each in found["findings"] if each["warning"]]
    return words + _checks(items)


def _warnings(seen: Seen) -> str:
    unknown = "The kind of this model is not known here; it is counted as if it were a Llama."
    shown = [*(said(each) for each in seen["warnings"]), *([] if seen["exact"] else [t(unknown)])]
    return _list(shown)


def _list(items: Iterable[str]) -> str:
    listed = "".join(f'<li class="warning">{each}</li>' for each in items)
    return f'<ul class="notes">{listed}</ul>' if listed else ""


def _choices(seen: Seen, label: dict[str, str]) -> str:
    """What nobody set, folded: each with its reason."""
    choices: Sequence[dict[str, Any]] = seen["choices"]
    if not choices:
        return ""
    rows = (
        (
            text(t(label.get(each["setting"], "Model"))),
            f"<b>{text(plain(each['value']))}</b>",
            said(each["reason"]),
        )
        for each in choices
    )
    listed = table((t("Setting"), t("Value"), t("Because")), rows, "chosen")
    return f"<details><summary>{count(len(choices), 'automatic choice')}</summary>{listed}</details>"


def _machines(seen: Seen) -> str:
    lines = seen["machines"]
    if not lines:
        return ""
    words = t("Make the run in a shell with --no-begin, then start its processes on each machine:")
    return f'<p class="hint">{words}</p><pre class="command">{text(chr(10).join(lines))}</pre>'
