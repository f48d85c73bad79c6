"""The model card: what a reader needs to trust the model, from the run's own record. Needs no torch."""

import json
from pathlib import Path
from typing import Any, Literal

import core
from core.evaluate.report import Report, Score, read
from core.presets import base_model
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
CARD = """---
{metadata}
---

# {title}

{summary}

## Scores

{scores}

## How it was trained

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

## Limits

{limits}

Made with Atelier {version}.
"""


def card(run: Run, what: Literal["adapter", "merged"], repo_id: str | None = None) -> str:
    """The text of README.md. It names files, never folders of this machine."""
    spec, progress, report = run.spec, run.progress(), read(run)
    record = json.loads(run.manifest.read_text("utf-8"))
    name = (repo_id or run.name).split("/")[-1]
    return CARD.format(
        metadata=_metadata(spec, what, name, report),
        title=name,
        summary=_summary(spec, what),
        scores=_scores(report),
        data=_data(run, record),
        curve=_curve(progress),
        settings=_settings(spec),
        libraries=_libraries(record),
        usage=_usage(spec, what, repo_id or run.name),
        stops="` or `".join(record["stop_tokens"]),
        limits="It was measured on the held-out examples above and on nothing else."
        if report and report.scores
        else "It was not measured.",
        version=core.__version__,
    )


def write_card(
    run: Run, folder: Path, what: Literal["adapter", "merged"], repo_id: str | None = None
) -> None:
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


def _base_on_hub(spec: RunSpec) -> str | None:
    """The base's Hub id; None if it is embedded or a folder."""
    local = spec.model.base == "fable" or Path(base_model(spec.model.base)).is_dir()
    return None if local else spec.model.base


def _metadata(spec: RunSpec, what: str, name: str, report: Report | None) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="held-out",
            dataset_name="held-out examples of the training data",
            metric_type=score.name,
            metric_value=round(score.tuned.value, 4),
        )
        for score in (report.scores if report else ())
    ]
    return ModelCardData(
        base_model=_base_on_hub(spec),
        library_name="peft" if what == "adapter" else "transformers",
        pipeline_tag="text-generation",
        tags=["sft", "atelier", spec.method.kind],
        model_name=name,
        eval_results=results or None,
    ).to_yaml()


def _summary(spec: RunSpec, what: str) -> str:
    base = _base_on_hub(spec)
    named = f"[{base}](https://huggingface.co/{base})" if base else f"`{Path(spec.model.base).name}`"
    if spec.model.base == "fable":
        named = (
            "Fable, the 7M-parameter model embedded in Atelier that was pretrained on old children's books"
        )
    how = METHODS[spec.method.kind]
    made = {
        "adapter": "This repository holds the adapter alone.",
        "merged": "This repository holds the whole model.",
    }
    return f"{named}, fine-tuned {how} on question and answer pairs. {made[what]}"


def _scores(report: Report | None) -> str:
    if not report or not report.scores:
        return "None: the run was not evaluated."
    rows = ["| score | base | tuned | difference | verdict | n |", "|---|---|---|---|---|---|"]
    rows += [_score_row(score) for score in report.scores]
    definitions = "\n".join(f"- **{score.label}**: {score.definition}" for score in report.scores)
    confidence = report.settings.confidence
    return "\n".join(rows) + (
        f"\n\nIn brackets: {confidence:.0%} intervals by bootstrap over the examples, paired for the difference.\n\n{definitions}"
    )


def _score_row(score: Score) -> str:
    cells = (
        f"{each.value:.3g} [{each.low:.3g}, {each.high:.3g}]"
        for each in (score.base, score.tuned, score.difference)
    )
    return f"| {score.label} | {' | '.join(cells)} | {score.verdict} | {score.n} {score.of} |"


def _data(run: Run, record: dict[str, Any]) -> str:
    report = json.loads((run.reports / "data.json").read_text("utf-8"))
    files = [f"- `{Path(name).name}`, SHA-256 `{digest}`" for name, digest in record["data"].items()]
    plan = record["plan"]
    kept = f"{report['kept']} of {report['rows']} rows could be used; {plan['examples']} were trained on, {plan['held_out']} held out."
    return "\n".join([*files, "", kept])


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
    for section, name in (("data", "files"), ("data", "held_out_files")):
        values[section][name] = [Path(each).name for each in values[section][name]]
    for name in ("base", "tokenizer"):
        if values["model"][name] and Path(values["model"][name]).is_absolute():
            values["model"][name] = Path(values["model"][name]).name
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip()


def _libraries(record: dict[str, Any]) -> str:
    return (
        ", ".join(f"{name} {version}" for name, version in record["libraries"].items())
        + f", Python {record['python']}."
    )


def _usage(spec: RunSpec, what: str, repo_id: str) -> str:
    if what == "merged":
        lines = [
            "from transformers import pipeline",
            "",
            f'chat = pipeline("text-generation", "{repo_id}")',
            'print(chat([{"role": "user", "content": "Who are you?"}], max_new_tokens=100)[0]["generated_text"][-1]["content"])',
        ]
    else:
        lines = [
            "from peft import PeftModel",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            f'tokenizer = AutoTokenizer.from_pretrained("{repo_id}")',
            f'model = AutoModelForCausalLM.from_pretrained("{_base_on_hub(spec) or Path(spec.model.base).name}")',
            "model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings))",
            f'model = PeftModel.from_pretrained(model, "{repo_id}")',
        ]
    return "\n".join(["```python", *lines, "```"])
