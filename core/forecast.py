"""What a run would take, said before it begins: rows, tokens, steps, every choice, memory, time, disk, and whether it fits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import cache
from core.data.examples import Problem
from core.data.select import Selected, select
from core.errors import TextError
from core.remote.estimate import as_text as costs
from core.remote.estimate import estimate
from core.spec import RunSpec
from core.text.tokenizers import fingerprint, source_of
from core.train.base import known_shape
from core.train.device import facts
from core.train.distributed.launching import commands
from core.train.plan import HOUR, Lengths, memory_by_method, plan, refusal, shape_of, spoken
from core.train.processes import check

if TYPE_CHECKING:
    from core.remote.flavors import Flavor
    from core.train.plan import DeviceFacts

LETTERS_OF_A_TOKEN = (
    3.5  # where the tokenizer cannot be had; English has 4 to 5, code and other languages fewer
)
PARTS = {
    "process": "the process itself",
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimizer",
    "activations": "activations",
    "logits": "logits and loss",
    "code": "kernels made",
    "reserve": "reserve",
}
VERDICTS = {"fits": "It fits.", "tight": "It is tight.", "does not fit": "It does not fit."}


def forecast(
    spec: RunSpec, folder: Path = Path(), flavors: "Sequence[Flavor] | None" = None
) -> dict[str, Any]:
    """Plain values for shell, page and programs; nothing is loaded but the tokenizer and the model's config.

    For a run on HF Jobs, of the machine there, with time and cost under `remote`; `flavors` are asked for unless given.
    Raises DataError if a file cannot be read, TrainError if the model is not known or there is nothing to train on.
    """
    shape, why_padded = known_shape(spec)
    chosen = select(spec.data)
    lengths, tokens = _lengths(spec, chosen)
    device, flavor = _device(spec, folder, flavors)
    planned = plan(spec, shape, lengths, device, why_padded, tokens.pop("added_tokens"))
    refused = refusal(planned, spec)
    return {
        "base": spec.model.base,
        "parameters": shape.parameters,
        "trainable": shape.trainable(spec.method.kind, spec.method.rank, spec.method.target_modules),
        "exact": shape.exact,
        "method": spec.method.kind,
        "rows": sum(report.rows for report in chosen.reports),
        **tokens,
        "left_out": [*_not_read(chosen), *tokens["left_out"]],
        **planned.as_dict(),
        "device": {"kind": device.kind, "name": device.name, "memory": device.memory, "flops": device.flops},
        "asks_for_hours": planned.device == "cpu" and planned.seconds > HOUR and spec.compute.where == "here",
        "refusal": str(refused) if refused else None,
        "remote": estimate(planned.seconds, flavor, spec.compute).as_dict() if flavor else None,
        "machines": list(commands(spec)),
    }


def _device(
    spec: RunSpec, folder: Path, flavors: "Sequence[Flavor] | None"
) -> "tuple[DeviceFacts, Flavor | None]":
    """What it would be trained on: this machine, measured, or one of HF Jobs, by its list."""
    if spec.compute.where == "here":
        return facts(spec, folder), None
    from core.remote.client import Jobs
    from core.remote.flavors import chosen

    flavor = chosen(spec.compute.flavor or "", Jobs().flavors() if flavors is None else flavors)
    check(spec, flavor.gpus)
    return flavor.facts(), flavor


def needs(shape: Mapping[str, Any], in_words: bool) -> dict[str, Any]:
    """What each method needs at least for a listed model on a GPU: bytes, or words in columns of their own."""
    found = memory_by_method(shape_of(shape))
    if not in_words:
        return {"memory": found}
    return {kind: _bytes(found[kind]) if kind in found else "-" for kind in ("full", "lora", "qlora")}


def _lengths(spec: RunSpec, chosen: Selected) -> tuple[Lengths, dict[str, Any]]:
    """Tokens of the rows, and what is worth knowing of them; kept, since another setting changes nothing of it."""
    try:
        tokenizer = fingerprint(*source_of(spec.model))
        made_by = [version(library) for library in ("transformers", "tokenizers", "sentencepiece")]
        key = cache.key_of(
            (cache.code_of("text", "data", "forecast.py"), made_by, tokenizer),
            (spec.model.model_dump_json(), spec.template.model_dump_json()),
            (spec.train.max_length, spec.train.overlong),
            (chosen.training.digests.tobytes(), chosen.held_out.digests.tobytes()),
        )
        counted = cache.values("lengths", key, lambda: _counted(spec, chosen))
    except TextError as error:
        return _guessed(spec, chosen, str(error))
    return Lengths.of(**counted["lengths"]), counted["tokens"]


def _counted(spec: RunSpec, chosen: Selected) -> dict[str, Any]:
    """Plain values; transformers is loaded. TextError if the tokenizer cannot be had."""
    from core.text.encode import encode, will_it_stop
    from core.text.load import load_text

    text = load_text(spec)
    training, held_out = (
        encode(part, text.tokenizer, text.template, spec.train.max_length, spec.train.overlong)
        for part in (chosen.training, chosen.held_out)
    )
    sides = {"training": training.rows.lengths.tolist(), "held_out": held_out.rows.lengths.tolist()}
    stops = will_it_stop(training, text.template, text.tokenizer, text.stop_ids)
    tokens = {
        "tokens": training.tokens,
        "trained_tokens": training.trained_tokens,
        "longest": training.longest,
        "cut_rows": training.cut_rows + held_out.cut_rows,
        "cut_tokens": training.cut_tokens + held_out.cut_tokens,
        "skipped": training.skipped + held_out.skipped,
        "left_out": [each for part in (training, held_out) for each in _by_code(part.counts, part.problems)],
        "stops": [asdict(each) for each in stops],
        "tokens_guessed": None,
        "added_tokens": len(text.added),
    }
    return {"lengths": sides | {"trained": training.trained_tokens}, "tokens": tokens}


def _guessed(spec: RunSpec, chosen: Selected, why: str) -> tuple[Lengths, dict[str, Any]]:
    """From letters, where the tokenizer cannot be had."""
    sides = []
    for part in (chosen.training, chosen.held_out):
        letters = [sum(len(message.content) for message in example.messages) for example in part]
        sides.append(np.ceil(np.asarray(letters, float) / LETTERS_OF_A_TOKEN).astype(np.int64) + 8)
    cut = [np.maximum(side - spec.train.max_length, 0) for side in sides]
    training, held_out = (np.minimum(side, spec.train.max_length) for side in sides)
    lengths = Lengths(training, held_out, int(training.sum()))
    return lengths, {
        "tokens": lengths.tokens,
        "trained_tokens": lengths.trained,
        "longest": lengths.longest,
        "cut_rows": int(sum((side > 0).sum() for side in cut)),
        "cut_tokens": int(sum(side.sum() for side in cut)),
        "skipped": 0,
        "left_out": [],
        "stops": None,
        "tokens_guessed": why,
        "added_tokens": 0,
    }


def _not_read(chosen: Selected) -> Iterator[dict[str, Any]]:
    """Why rows of the files are no examples: those with an error, and those that data.drop leaves out."""
    for report in chosen.reports:
        yield from _by_code(report.counts, report.problems)
        for code, times in report.dropped.items():
            yield {"code": code, "times": times, "why": f"Left out for {code}, as data.drop says."}


def _by_code(counts: Mapping[tuple[str, str], int], problems: Sequence[Problem]) -> Iterator[dict[str, Any]]:
    """Of each kind of error how often it came, and what the first one said."""
    first = {each.code: each.why for each in reversed(problems) if each.severity == "error"}
    for (severity, code), times in counts.items():
        if severity == "error":
            yield {"code": code, "times": times, "why": first.get(code, "")}


def as_text(seen: dict[str, Any]) -> str:
    """What a person reads."""
    trained = (
        f"{seen['trainable'] / max(1, seen['parameters']):.1%} of them" if seen["method"] != "full" else "all"
    )
    lines = [
        f"{seen['base']}: {_count(seen['parameters'])} parameters, {trained} trained ({seen['method']})."
        + ("" if seen["exact"] else " Its kind is not known here; it is counted as if it were a Llama."),
        f"{seen['examples']:,} examples to train on, {seen['held_out']:,} held out; {seen['tokens']:,} tokens a pass, "
        f"{seen['trained_tokens'] / max(1, seen['tokens']):.0%} of them trained, the longest example has "
        f"{seen['longest']:,}.",
    ]
    if seen["tokens_guessed"]:
        lines.append(f"! The tokens are guessed from letters: {seen['tokens_guessed']}")
    if seen["cut_rows"] or seen["skipped"]:
        lines.append(
            f"! {seen['cut_rows']:,} examples are cut ({seen['cut_tokens']:,} tokens lost), {seen['skipped']:,} left out."
        )
    lines += [f"! {check['text']}" for check in seen["stops"] or () if not check["ok"]]
    lines += [
        f"{seen['total_steps']:,} steps of {seen['batch_size']} examples, the first {seen['warmup_steps']:,} of them warmup; "
        f"measured every {seen['evaluate_every']:,}.",
        "",
        *(f"· {choice['reason']}" for choice in seen["choices"]),
        *(f"! {warning}" for warning in seen["warnings"]),
        "",
        *_table(seen),
        "",
        f"Disk: {_bytes(seen['disk_bytes'])} for checkpoints and the final model, {_bytes(seen['disk_free'])} are free.",
        f"Time: about {spoken(seen['seconds'])}, {_seconds(seen['seconds_per_step'])} a step; scoring afterwards not counted.",
        *([costs(seen["remote"])] if seen["remote"] else []),
        VERDICTS[seen["verdict"]],
    ]
    if seen["changes"]:
        lines.append("What would make it need less, the least harmful first:")
        for change in seen["changes"]:
            fits = "fits then" if change["fits"] else "not enough alone"
            value = str(change["value"]).lower() if isinstance(change["value"], bool) else change["value"]
            lines.append(
                f"  --{change['setting'].replace('_', '-')} {value}: {_bytes(change['saves'])} less, {fits}; {change['cost']}"
            )
    if seen["machines"]:
        lines += ["", "Make the run with --no-begin and its name, then start its processes on each machine:"]
        lines += [f"  {command}" for command in seen["machines"]]
    if seen["refusal"]:
        lines += ["", seen["refusal"]]
    return "\n".join(lines)


def _table(seen: dict[str, Any]) -> list[str]:
    """Memory by part, training and evaluation side by side."""
    sides = [seen["memory"][name] for name in ("training", "evaluation")]
    lines = [f"{'memory':<20}{'training':>12}{'evaluation':>12}"]
    for part, words in PARTS.items():
        lines.append(f"  {words:<18}" + "".join(f"{_bytes(side[part]):>12}" for side in sides))
    lines.append(f"  {'at most at once':<18}" + "".join(f"{_bytes(side['needed']):>12}" for side in sides))
    device = seen["device"]
    lines.append(f"  of {_bytes(seen['memory']['limit'])} on {device['name']}")
    return lines


def _bytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _seconds(time: float) -> str:
    return f"{time:.2g} s" if time < 10 else f"{time:,.0f} s"


def _count(number: int) -> str:
    return f"{number / 1e9:.2f} billion" if number >= 1e9 else f"{number / 1e6:.1f} million"
