"""What a publication would hold and where it would go, before a byte leaves the house. Needs no torch."""

import json
from dataclasses import asdict as dataclass_as_dict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from core.errors import PublishError, SpecError
from core.presets import base_model
from core.publish.card import card
from core.publish.gate import GGUF, MERGED, compared, compared_files, why_not
from core.publish.gguf.formats import format_named
from core.publish.publishable import publishable
from core.publish.results import results
from core.runs.store import Run
from core.spec import PublishSettings, sentences

What = Literal["adapter", "merged", "gguf"]
CONFIG_SIZE = 1000  # bytes of a config.json, near enough to be planned with
BITS = {
    "f32": 32,
    "f16": 16,
    "bf16": 16,
    "q8_0": 8.5,
    "q5_1": 6,
    "q5_0": 5.5,
    "q4_1": 5,
    "q4_0": 4.5,
}  # of a weight
NO_REPOSITORY = "Name the repository as owner/name: --to owner/name, or publish.to in the settings."
NO_LICENSE = "It says no licence, so nobody else may use it: name one with --license, or publish.license."
# What an earlier publication to the same place may have left, and would be read in the place of what is published now.
REPLACES: dict[What, tuple[str, ...]] = {
    "adapter": ("adapter_*", "model*.safetensors", "model.safetensors.index.json", "config.json"),
    "merged": ("adapter_*", "model*.safetensors", "model.safetensors.index.json"),
    "gguf": ("*.gguf", "Modelfile*"),
}


@dataclass(frozen=True)
class PlannedFile:
    path: str  # in the repository
    size: int  # bytes; 0 and not measured: not known before the file is made
    measured: bool = True  # false: from the number of parameters, as the file is not written yet


@dataclass(frozen=True)
class PublishPlan:
    repo_id: str
    private: bool
    what: What
    files: tuple[PlannedFile, ...]
    card: str
    warnings: tuple[str, ...]
    url: str
    branch: str | None = None
    pull_request: bool = False
    license: str | None = None
    quantization: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()  # what was found out of what is published
    refusal: str | None = None  # why it would not be published as it is

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def plan(
    run: Run, to: str | None = None, what: What | None = None, private: bool | None = None, **others: Any
) -> PublishPlan:
    """PublishError if the run has nothing to publish, or no repository is named. None takes the run's own settings.

    `others` are more of them by name: branch, pull_request, license, quantization.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    settings = asked(run, to=to, what=what, private=private, **others)
    to, what = settings.to, settings.what
    if not run.final.is_dir():
        raise PublishError(
            f"The run {run.name!r} has no final model yet: it must be trained to its end first."
        )
    if not to or "/" not in to:
        raise PublishError(NO_REPOSITORY)
    try:
        validate_repo_id(to)
    except HFValidationError as error:
        raise PublishError(f"{to!r} cannot name a repository: {str(error).splitlines()[0]}") from None
    if what == "adapter" and not (run.final / "adapter_config.json").is_file():
        raise PublishError(
            f"The run {run.name!r} trained every weight and has no adapter: publish it as merged."
        )
    if what == "gguf":
        for name in settings.quantization:
            format_named(name)
    if settings.branch and settings.pull_request:
        raise PublishError(
            f"A pull request is opened against main: leave out the branch {settings.branch!r}, or the pull request."
        )
    text = card(run, what, to, settings.license, settings.quantization)
    files = (
        *_files(run, settings),
        *(PlannedFile(path, len(content)) for path, content in results(run).items()),
        PlannedFile("README.md", len(text.encode())),
        PlannedFile("curve.png", 0, measured=False),
    )
    url = f"{constants.ENDPOINT}/{to}" + (f"/tree/{settings.branch}" if settings.branch else "")
    ready = what == "adapter" or is_made(run, settings)
    return PublishPlan(
        repo_id=to,
        private=settings.private,
        what=what,
        files=files,
        card=text,
        warnings=tuple(_warnings(run, settings)),
        url=url,
        branch=settings.branch,
        pull_request=settings.pull_request,
        license=settings.license,
        quantization=settings.quantization if what == "gguf" else (),
        checks=tuple(_checks(run, settings)),
        refusal=why_not(run, what, settings.quantization, look=False) if ready else None,
    )


def asked(run: Run, **given: Any) -> PublishSettings:
    """The run's own settings, with those over them that are given and not None."""
    values = run.spec.publish.model_dump() | {name: each for name, each in given.items() if each is not None}
    try:
        return PublishSettings.model_validate(values)
    except ValidationError as error:
        raise SpecError(sentences(error, PublishSettings)) from None


def folder_to_publish(run: Run, what: What) -> Path:
    return {"adapter": run.final, "merged": run.folder / MERGED, "gguf": run.folder / GGUF}[what]


def to_publish(run: Run, settings: PublishSettings) -> list[Path]:
    """The files of the run; of GGUF files, those that were compared, in the formats that are asked for."""
    if settings.what == "gguf":
        return compared_files(run, settings.quantization)
    return publishable(folder_to_publish(run, settings.what))


def is_made(run: Run, settings: PublishSettings) -> bool:
    """Whether what is to be published is there: the folder, and of GGUF a file in every format."""
    folder = folder_to_publish(run, settings.what)
    if settings.what != "gguf":
        return folder.is_dir()
    return all(any(folder.glob(f"*-{each.lower()}.gguf")) for each in settings.quantization)


def _files(run: Run, settings: PublishSettings) -> list[PlannedFile]:
    folder = folder_to_publish(run, settings.what)
    if is_made(run, settings):
        return [
            PlannedFile(path.relative_to(folder).as_posix(), path.stat().st_size)
            for path in to_publish(run, settings)
        ]
    model = json.loads(run.manifest.read_text("utf-8"))["model"]
    if settings.what == "gguf":
        return [
            *(
                PlannedFile(
                    f"{run.name}-{each}.gguf",
                    int(model["parameters"] * BITS.get(each, 8) / 8),
                    measured=False,
                )
                for each in settings.quantization
            ),
        ]
    kept = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")
    weights = PlannedFile(
        "model.safetensors", model["parameters"] * model["bytes_per_parameter"], measured=False
    )
    config = PlannedFile("config.json", CONFIG_SIZE, measured=False)
    return [
        weights,
        config,
        *(
            PlannedFile(name, (run.final / name).stat().st_size)
            for name in kept
            if (run.final / name).is_file()
        ),
    ]


def _checks(run: Run, settings: PublishSettings) -> list[str]:
    if settings.what == "adapter":
        return []
    if not is_made(run, settings):
        made = "merged" if settings.what == "merged" else "written as GGUF"
        return [
            f"It is {made} first, opened again and compared with the tuned model; where they differ, it is not sent."
        ]
    return compared(run, settings.what, settings.quantization)


def _warnings(run: Run, settings: PublishSettings) -> list[str]:
    base = run.spec.model.base
    local = base == "fable" or Path(base_model(base)).is_dir()
    warnings = []
    if settings.what == "adapter" and local:
        warnings.append(
            f"The base {base!r} is not on the Hub, so nobody can load this adapter without it: publish as merged."
        )
    if not settings.license:
        warnings.append(NO_LICENSE)
    if not (run.reports / "evaluation.json").is_file():
        warnings.append("The card has no scores: the run was not evaluated.")
    return warnings


def as_dict(plan: PublishPlan) -> dict[str, Any]:
    return dataclass_as_dict(plan) | {"size": plan.size}


def as_text(plan: PublishPlan) -> str:
    width = max(len(file.path) for file in plan.files)

    def how_large(file: PlannedFile) -> str:
        if not file.size and not file.measured:
            return f"{'':>9}  (made when it is pushed)"
        return f"{in_bytes(file.size):>9}{'' if file.measured else '  (about)'}"

    seen = "as a pull request" if plan.pull_request else "private" if plan.private else "public"
    how = [seen, plan.what]
    return "\n".join(
        [
            f"To {plan.url}, {', '.join(how)}:",
            *(f"  {file.path:<{width}}  {how_large(file)}" for file in plan.files),
            *(f"· {check}" for check in plan.checks),
            *(f"! {warning}" for warning in plan.warnings),
            *([plan.refusal] if plan.refusal else []),
        ]
    )


def in_bytes(size: float) -> str:
    """`812 B`, `13.6 MB`: decimal units, as the Hub shows them."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
