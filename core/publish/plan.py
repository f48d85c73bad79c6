"""What a publication would hold and where it would go, before a byte leaves the house. Needs no torch."""

import json
from dataclasses import asdict as dataclass_as_dict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import PublishError
from core.presets import base_model
from core.publish.card import card
from core.runs.store import Run

What = Literal["adapter", "merged"]
CONFIG_SIZE = 1000  # bytes of a config.json, near enough to be planned with
NEVER = (
    "training_args.bin",
    "README.md",
    "curve.png",
)  # pickled settings of the trainer; the card is made anew


@dataclass(frozen=True)
class PlannedFile:
    path: str  # in the repository
    size: int  # bytes
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

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def plan(
    run: Run, to: str | None = None, what: What | None = None, private: bool | None = None
) -> PublishPlan:
    """PublishError if the run has nothing to publish, or no repository is named. None takes the run's own settings."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    settings = run.spec.publish
    to, what = to or settings.to, what or settings.what
    private = settings.private if private is None else private
    if not run.final.is_dir():
        raise PublishError(
            f"The run {run.name!r} has no final model yet: it must be trained to its end first."
        )
    if not to or "/" not in to:
        raise PublishError(
            "Name the repository as owner/name: --to owner/name, or publish.to in the settings."
        )
    try:
        validate_repo_id(to)
    except HFValidationError as error:
        raise PublishError(f"{to!r} cannot name a repository: {str(error).splitlines()[0]}") from None
    if what == "adapter" and not (run.final / "adapter_config.json").is_file():
        raise PublishError(
            f"The run {run.name!r} trained every weight and has no adapter: publish it as merged."
        )
    files = tuple(_files(run, what))
    text = card(run, what, to)
    files += (PlannedFile("README.md", len(text.encode())), PlannedFile("curve.png", 0, measured=False))
    return PublishPlan(
        to, private, what, files, text, tuple(_warnings(run, what)), f"{constants.ENDPOINT}/{to}"
    )


def folder_to_publish(run: Run, what: What) -> Path:
    return run.final if what == "adapter" else run.folder / "merged"


def publishable(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in NEVER)


def _files(run: Run, what: What) -> list[PlannedFile]:
    folder = folder_to_publish(run, what)
    if folder.is_dir():
        return [
            PlannedFile(path.relative_to(folder).as_posix(), path.stat().st_size)
            for path in publishable(folder)
        ]
    kept = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")
    model = json.loads(run.manifest.read_text("utf-8"))["model"]
    weights = PlannedFile(
        "model.safetensors", model["parameters"] * model["bytes_per_parameter"], measured=False
    )
    config = PlannedFile("config.json", CONFIG_SIZE, measured=False)
    return [weights, config, *(PlannedFile(name, (run.final / name).stat().st_size) for name in kept)]


def _warnings(run: Run, what: What) -> list[str]:
    base = run.spec.model.base
    local = base == "fable" or Path(base_model(base)).is_dir()
    warnings = []
    if what == "adapter" and local:
        warnings.append(
            f"The base {base!r} is not on the Hub, so nobody can load this adapter without it: publish as merged."
        )
    if not (run.reports / "evaluation.json").is_file():
        warnings.append("The card has no scores: the run was not evaluated.")
    return warnings


def as_dict(plan: PublishPlan) -> dict[str, Any]:
    return dataclass_as_dict(plan) | {"size": plan.size}


def as_text(plan: PublishPlan) -> str:
    width = max(len(file.path) for file in plan.files)
    about = {True: "", False: "  (about)"}
    return "\n".join(
        [
            f"To {plan.url}, {'private' if plan.private else 'public'}, {plan.what}:",
            *(
                f"  {file.path:<{width}}  {in_bytes(file.size):>9}{about[file.measured]}"
                for file in plan.files
            ),
            *(f"! {warning}" for warning in plan.warnings),
        ]
    )


def in_bytes(size: float) -> str:
    """`812 B`, `13.6 MB`: decimal units, as the Hub shows them."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
