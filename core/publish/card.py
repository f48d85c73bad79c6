"""The model card: what a reader needs to trust the model, from the run's own record. Needs no torch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import core
from core.evaluate.report import Report, Score, TaskReport, read
from core.evaluate.reports.words import in_brackets
from core.models import by_hub_id
from core.presets import data_file
from core.publish.gate import GGUF, MODELFILE, compared, compared_files
from core.publish.usage import base_on_hub, usage
from core.runs.events import Progress
from core.runs.store import Run
from core.spec import RunSpec

METHODS = {
    "full": "in full",
    "lora": "with LoRA",
    "qlora": "with QLoRA, over a base held in 4 bits",
    "dora": "with DoRA",
    "rslora": "with rank-stabilized LoRA",
    "pissa": "with PiSSA",
}
LIBRARIES = {"adapter": "peft", "merged": "transformers", GGUF: "gguf"}
RELATIONS = {"adapter": "adapter", "merged": "finetune", GGUF: "quantized"}
CARD = """---
{metadata}
---

# {title}

{summary}

## Scores

{scores}

## How it was trained

{base}

{data}

![Loss of the training and of the held-out examples over the steps](curve.png)

{curve}

<details><summary>Every setting</summary>

```yaml
{settings}
```

</details>

{libraries}

## How to use it

{usage}

The model stops by itself: its answers end with `{stops}`, which its generation config names.

{compared}## Limits

{limits}

Made with Atelier {version}.
"""


def card(
    run: Run,
    what: str,
    repo_id: str | None = None,
    license: str | None = None,
    quantization: Sequence[str] | None = None,
) -> str:
    """The text of README.md. It names files, never folders of this machine. None takes the run's own settings."""
    spec, progress, report = run.spec, run.progress(), read(run)
    license = license or spec.publish.license
    quantization = tuple(quantization or spec.publish.quantization)
    record = json.loads(run.manifest.read_text("utf-8"))
    name = (repo_id or run.name).split("/")[-1]
    checks = compared(run, what, quantization)
    return CARD.format(
        metadata=_metadata(spec, what, name, report, license),
        title=name,
        summary=_summary(spec, what),
        scores=_scores(report),
        base=_base(spec, record),
        data=_data(run, record),
        curve=_curve(progress),
        settings=_settings(spec),
        libraries=_libraries(record),
        usage=usage(
            spec,
            what,
            run.name,
            repo_id or run.name,
            quantization,
            any(path.name == MODELFILE for path in compared_files(run, quantization)),
        ),
        stops="` or `".join(record["stop_tokens"]),
        compared="## Compared before it was published\n\n"
        + "\n".join(f"- {each}" for each in checks)
        + "\n\n"
        if checks
        else "",
        limits=_limits(run, record, report, license),
        version=core.__version__,
    )


def write_card(run: Run, folder: Path, what: str, repo_id: str | None = None) -> None:
    """README.md and curve.png in the folder."""
    (folder / "README.md").write_text(card(run, what, repo_id), "utf-8")
    (folder / "curve.png").write_bytes(curve_image(run.progress()))


def curve_image(progress: Progress) -> bytes:
    """Training and held-out loss over the steps, as PNG."""
    import io

    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.plot(
        [s.step for s in progress.steps],
        [s.loss for s in progress.steps],
        color="#9aa5b1",
        lw=1,
        label="training",
    )
    if progress.held_out:
        axes.plot(
            [h.step for h in progress.held_out],
            [h.loss for h in progress.held_out],
            "o-",
            color="#b4532a",
            ms=4,
            label="held out",
        )
    axes.set(xlabel="step", ylabel="loss, nats per token")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})
    return image.getvalue()


def _metadata(spec: RunSpec, what: str, name: str, report: Report | None, license: str | None) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=task.name,
            dataset_name=task.label,
            metric_type=score.name,
            metric_name=score.label,
            metric_value=round(score.tuned.value, 4),
        )
        for task, score in _scored(report)
    ]
    return ModelCardData(
        base_model=base_on_hub(spec),
        base_model_relation=RELATIONS[what] if base_on_hub(spec) else None,
        license=license,
        library_name=LIBRARIES[what],
        pipeline_tag="text-generation",
        tags=["sft", "atelier", spec.method.kind],
        model_name=name,
        eval_results=results or None,
    ).to_yaml()


def _summary(spec: RunSpec, what: str) -> str:
    base = base_on_hub(spec)
    named = f"[{base}](https://huggingface.co/{base})" if base else f"`{Path(spec.model.base).name}`"
    if spec.model.base == "fable":
        named = (
            "Fable, the 7M-parameter model embedded in Atelier that was pretrained on old children's books"
        )
    how = METHODS[spec.method.kind]
    made = {
        "adapter": "This repository holds the adapter alone.",
        "merged": "This repository holds the whole model.",
        GGUF: "This repository holds the whole model as GGUF files, for llama.cpp and Ollama.",
    }
    return f"{named}, fine-tuned {how} on question and answer pairs. {made[what]}"


def _scored(report: Report | None) -> list[tuple[TaskReport, Score]]:
    """Every score of the tuned model, with its task."""
    tasks = report.tasks if report else ()
    return [(task, score) for task in tasks for score in task.scores if score.tuned]


def _scores(report: Report | None) -> str:
    found = _scored(report)
    if not found:
        return "None: the run was not evaluated."
    rows = ["| task | score | base | tuned | difference | verdict | n |", "|---|---|---|---|---|---|---|"]
    rows += [_score_row(task, score) for task, score in found]
    definitions = "\n".join(
        f"- **{label}**: {definition}"
        for label, definition in {score.label: score.definition for _, score in found}.items()
    )
    confidence = found[0][0].settings.confidence
    return "\n".join(rows) + (
        f"\n\nIn brackets: {confidence:.0%} intervals by bootstrap over the examples, paired for the difference.\n\n{definitions}"
    )


def _score_row(task: TaskReport, score: Score) -> str:
    cells = (in_brackets(score.base), in_brackets(score.tuned), in_brackets(score.difference, "+"))
    return f"| {task.label} | {score.label} | {' | '.join(cells)} | {score.verdict or '–'} | {score.n} {score.of} |"


def _base(spec: RunSpec, record: dict[str, Any]) -> str:
    """Which base exactly, and under which licence it is."""
    commit = record["model"].get("commit") or spec.model.revision
    known = by_hub_id(spec.model.base)
    parts = [f"The base is `{Path(spec.model.base).name if not base_on_hub(spec) else spec.model.base}`"]
    parts.append(f", revision `{commit}`" if commit else "")
    parts.append(f", {record['model']['parameters'] / 1e6:,.0f} million parameters")
    parts.append(f", licence {known.licence}" if known else "")
    return "".join(parts) + "."


def _data(run: Run, record: dict[str, Any]) -> str:
    report = json.loads((run.reports / "data.json").read_text("utf-8"))
    files = [
        f"- `{_shown(name)}`, {'commit' if _is_on_hub(name) else 'SHA-256'} `{digest}`{_told(name)}"
        for name, digest in record["data"].items()
    ]
    plan = record["plan"]
    kept = f"{report['kept']} of {report['rows']} rows could be used; {plan['examples']} were trained on, {plan['held_out']} held out."
    return "\n".join([*files, "", kept])


def _is_on_hub(name: str) -> bool:
    from core.data.files.opening import is_on_the_hub

    return is_on_the_hub(name)


def _shown(name: str) -> str:
    """A file by its last part; what everybody can look up, whole."""
    return name if name.startswith("sample:") or _is_on_hub(name) else Path(name).name


def _told(name: str) -> str:
    """Licence and source as they stand beside the data, in a file such as poems.about.json."""
    if name.startswith("sample:"):
        return ", which is part of Atelier, licence: CC0-1.0"
    if _is_on_hub(name):
        return ", under the licence that its page states"
    try:
        about = json.loads(data_file(name).with_suffix(".about.json").read_text("utf-8"))
        said = {key: about[key] for key in ("licence", "source") if isinstance(about.get(key), str)}
    except (OSError, ValueError, TypeError):
        said = {}
    licence = said.get("licence", "not stated")
    return f", licence: {licence}" + (f", source: {said['source']}" if "source" in said else "")


def _limits(run: Run, record: dict[str, Any], report: Report | None, license: str | None) -> str:
    """What a reader must not expect of it, as far as the run's own record knows."""
    spec, plan = run.spec, record["plan"]
    tasks = list(dict.fromkeys(task.label for task, _ in _scored(report)))
    lines = [
        f"It was measured on {', '.join(tasks)}, as above, and on nothing else."
        if tasks
        else "It was not measured.",
        f"{plan['examples']:,} examples teach a model how to answer rather than what is true: it can state what is false "
        "with confidence, more so far from its examples.",
        "Nobody has tested it for answers that do harm, are unfair or repeat private data; whoever puts it before others "
        "has to.",
        f"It learnt from examples of at most {spec.train.max_length:,} tokens; longer conversations are beyond what it has "
        "seen.",
    ]
    if spec.model.base == "fable":
        lines.append("Its base is a toy of 7 million parameters, for trying things out.")
    lines.append(
        f"Its licence is {license}; those of the base and the data hold beside it."
        if license
        else "No licence was stated: ask whoever published it before you use it; those of the base and the data hold, too."
    )
    return "\n".join(f"- {line}" for line in lines)


def _curve(progress: Progress) -> str:
    if not progress.held_out:
        return ""
    losses = {each.step: each.loss for each in progress.steps}
    rows = [
        f"| {point.step} | {losses[point.step]:.3f} | {point.loss:.3f} | {point.token_accuracy:.1%} |"
        if point.step in losses
        else f"| {point.step} | | {point.loss:.3f} | {point.token_accuracy:.1%} |"
        for point in progress.held_out
    ]
    return "\n".join(["| step | loss | held-out loss | token accuracy |", "|---|---|---|---|", *rows])


def _settings(spec: RunSpec) -> str:
    import yaml

    values = spec.model_dump(mode="json")
    for name in ("files", "held_out_files", "against"):
        values["data"][name] = [_shown(each) for each in values["data"][name]]
    values["evaluate"]["tasks"] = [Path(each).name for each in values["evaluate"]["tasks"]]
    for name in ("base", "tokenizer"):
        if values["model"][name] and Path(values["model"][name]).is_absolute():
            values["model"][name] = Path(values["model"][name]).name
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip()


def _libraries(record: dict[str, Any]) -> str:
    return (
        ", ".join(f"{name} {version}" for name, version in record["libraries"].items())
        + f", Python {record['python']}."
    )
