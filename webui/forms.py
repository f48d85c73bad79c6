"""From the settings declared in core.spec to a form, and back. An empty field means: as the preset says."""

from typing import Any, Literal, get_args, get_origin

import gradio as gr
from pydantic.fields import FieldInfo

from core.errors import SpecError
from core.presets import PRESETS, resolve
from core.spec import Section, settings
from webui.language import t
from webui.render.parts import plain
from webui.render.train import CHOSEN
from webui.shared import html

TOUCHED = (
    "model.base",
    "method.kind",
    "train.epochs",
    "train.learning_rate",
    "train.batch_size",
    "train.max_length",
)
PLACE = ("compute.where",)
PAID = ("compute.flavor", "compute.timeout", "compute.namespace")  # what HF Jobs alone asks for
TITLES = {
    "model": "Model",
    "data": "Data",
    "template": "Template",
    "method": "Method",
    "train": "Training",
    "evaluate": "Evaluation",
    "publish": "Publishing",
    "compute": "Computer",
}
LABELS = {  # where the setting's own name does not say it, or not without its section
    "model.base": "Base model",
    "model.tokenizer_contract": "What the tokenizer must be",
    "data.held_out_fraction": "Share held out",
    "data.seed": "Seed of the split",
    "data.paths": "Paths through trees",
    "data.examples": "Examples in an epoch",
    "data.stages": "Stages of a curriculum",
    "data.against": "Never train on",
    "method.kind": "Method",
    "method.alpha": "Scale (alpha)",
    "method.target_modules": "Layers",
    "template.kind": "Template",
    "template.system": "System prompt",
    "train.max_steps": "Steps at most",
    "train.warmup_fraction": "Warmup",
    "train.max_gradient_norm": "Gradient norm at most",
    "train.micro_batch_size": "Examples at once",
    "train.max_length": "Maximum length",
    "train.overlong": "Longer examples",
    "train.evaluate_every": "Steps between measurements",
    "train.save_total_limit": "Checkpoints kept",
    "train.report_to": "Curves elsewhere",
    "evaluate.after_training": "Score after training",
    "evaluate.max_new_tokens": "Longest answer",
    "evaluate.max_samples": "Rows of each task",
    "evaluate.prompts": "Your own questions",
    "publish.to": "Repository",
    "publish.what": "What is published",
    "publish.checkpoints": "Push checkpoints",
    "publish.license": "Licence",
    "compute.where": "Where it is trained",
    "compute.flavor": "Machine",
    "compute.timeout": "Ended after",
    "compute.namespace": "Paid by",
    "compute.memory_gb": "Memory at most (GB)",
    "compute.force_cpu": "Hours without a GPU",
    "compute.workers": "Reading processes",
}
AS_PRESET = ""  # the choice, in a list of choices, that leaves a setting to the preset

Fields = dict[str, gr.components.Component]


def form_settings() -> dict[str, FieldInfo]:
    """The settings that have a field, by path, in the order of the form: the often touched ones first."""
    every = {path: info for path, info in settings().items() if path not in CHOSEN}
    return {path: every[path] for path in TOUCHED} | every


def draw_touched() -> Fields:
    return {path: field(path, info) for path, info in form_settings().items() if path in TOUCHED}


def draw_place() -> Fields:
    """Where it is trained."""
    return {path: field(path, info) for path, info in form_settings().items() if path in PLACE}


def draw_paid() -> Fields:
    """What is to be said of a machine of HF Jobs; those there are, are offered when somebody asks for them."""
    return {path: field(path, info) for path, info in form_settings().items() if path in PAID}


def draw_others() -> Fields:
    """Everything else, section by section."""
    fields: Fields = {}
    drawn = (*TOUCHED, *PLACE, *PAID)
    for section, title in TITLES.items():
        rest = {p: i for p, i in form_settings().items() if p.startswith(f"{section}.") and p not in drawn}
        if rest:
            html(f'<h3 class="settings">{t(title)}</h3>', elem_classes="of-settings")
            with gr.Row(elem_classes="settings"):
                fields |= {path: field(path, info) for path, info in rest.items()}
    return fields


def label(path: str) -> str:
    """What a setting is called on the page, in English."""
    return LABELS.get(path) or path.partition(".")[2].replace("_", " ").capitalize()


def field(path: str, info: FieldInfo) -> gr.components.Component:
    """The component that suits a setting's type.

    Its bounds are words here: RunSpec is the judge, so that page and shell refuse the same things in the same words.
    """
    words = {
        "label": t(label(path)),
        "info": t(f"{info.description}{bounds(info)}"),
        "min_width": 240,
        "elem_id": path.replace(".", "-"),
    }
    options = choices(info)
    if path == "compute.flavor":
        return gr.Dropdown([("", AS_PRESET)], value=AS_PRESET, allow_custom_value=True, **words)
    if options:
        options = [(t(name) if bool in types(info) else name, value) for name, value in options]
        return gr.Dropdown([("", AS_PRESET), *options], value=AS_PRESET, filterable=False, **words)
    if is_list(info) or is_section(info):
        return gr.Textbox("", lines=2, max_lines=6, **words)
    if is_number(info):
        return gr.Number(**words)
    return gr.Textbox("", max_lines=4, **words)


def empty(field: gr.components.Component) -> str | None:
    """What a field holds that leaves its setting to the preset; a number without a value would show 0."""
    return None if isinstance(field, gr.Number) else AS_PRESET


def as_preset(name: str) -> dict[str, dict[str, Any]]:
    """For each field's path, the properties that show what this preset would use, for `gr.update`."""
    spec = resolve(name).model_dump(mode="json")
    shown = {}
    for path, info in form_settings().items():
        part, _, setting = path.partition(".")
        words, options = plain(spec[part][setting]), choices(info)
        if path == "compute.flavor":
            shown[path] = {}  # a machine is chosen for each run
        elif options:
            first = t("{value} (preset)", value=words or t("automatic"))
            named = [(t(name) if bool in types(info) else name, value) for name, value in options]
            shown[path] = {"choices": [(first, AS_PRESET), *named]}
        elif is_list(info):
            shown[path] = {"placeholder": words or t("one on each line")}
        elif is_section(info):
            shown[path] = {"placeholder": words or t("name=value on each line")}
        else:
            shown[path] = {"placeholder": words or (t("automatic") if is_number(info) else t("none"))}
    return shown


def written(settings: dict[str, Any]) -> dict[str, Any]:
    """What the fields hold that say these nested values, by path: `read` turned round.

    SpecError where no field can say one, as that nothing shall stand where the preset has something.
    """
    held = {
        path: _written(settings[section][name])
        for path in form_settings()
        for section, _, name in [path.partition(".")]
        if name in (settings.get(section) or {})
    }
    if unsaid := [path for path, value in held.items() if value is None or value == ""]:
        raise SpecError(
            f"{unsaid[0]} is empty, and an empty field leaves the setting to the preset: take it out, or give it a value."
        )
    return held


def _written(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        return "\n".join(f"{name}={each}" for name, each in value.items() if each is not None)
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else value


def read(values: dict[str, Any]) -> dict[str, Any]:
    """What a filled-in form changes, as nested plain values for `presets.resolve`; only fields that hold something."""
    every = form_settings()
    nested: dict[str, Any] = {}
    for path, value in values.items():
        if path not in every or value is None or (isinstance(value, str) and not value.strip()):
            continue
        section, _, name = path.partition(".")
        nested.setdefault(section, {})[name] = parse(value, every[path])
    return nested


def parse(value: Any, info: FieldInfo) -> Any:
    """A field's content as the setting's plain value."""
    if bool in types(info):
        return value == "True"
    if is_list(info) or is_section(info):
        lines = [line.strip() for line in str(value).splitlines() if line.strip()]
        return _pairs(lines) if is_section(info) else lines
    if int in types(info) and float not in types(info) and float(value).is_integer():
        return int(value)
    return value


def _pairs(lines: list[str]) -> dict[str, str] | str:
    """`pad_id=0` on each line as settings by name; what is no pair is a short name, and the spec's to judge."""
    if not all("=" in line for line in lines):
        return "\n".join(lines)
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def explanation(preset_name: str) -> str:
    """The first line of a preset's file says what it is for."""
    first = (PRESETS / f"{preset_name}.yaml").read_text("utf-8").partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def types(info: FieldInfo) -> tuple[type, ...]:
    """The plain types a setting may have: (int, NoneType) for `int | None`."""
    annotation = info.annotation
    return (
        get_args(annotation)
        if get_args(annotation) and get_origin(annotation) is not Literal
        else (annotation,)
    )


def literals(info: FieldInfo) -> tuple[str, ...]:
    return tuple(
        value
        for each in (info.annotation, *get_args(info.annotation))
        if get_origin(each) is Literal
        for value in get_args(each)
    )


def choices(info: FieldInfo) -> list[tuple[str, str]]:
    """(label, value) of each, where a setting has a closed set of values."""
    if bool in types(info):
        return [("yes", "True"), ("no", "False")]
    return [(value, value) for value in literals(info)] if not is_list(info) else []


def is_number(info: FieldInfo) -> bool:
    return bool({int, float} & set(types(info)))


def is_list(info: FieldInfo) -> bool:
    return any(get_origin(each) is tuple for each in (info.annotation, *get_args(info.annotation)))


def is_section(info: FieldInfo) -> bool:
    """Whether a setting holds settings by name, as data.columns does."""
    return any(isinstance(each, type) and issubclass(each, Section) for each in types(info))


def bounds(info: FieldInfo) -> str:
    """` From 0 to 0.5.` in words, where the limits are near enough to be met."""
    found = {
        kind: getattr(each, kind)
        for each in info.metadata
        for kind in ("ge", "gt", "le", "lt")
        if hasattr(each, kind)
    }
    low, high = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
    if high is None or high > 1000:
        return ""
    return (
        f" {'Above' if 'gt' in found else 'From'} {low:g}, {'below' if 'lt' in found else 'up to'} {high:g}."
    )
