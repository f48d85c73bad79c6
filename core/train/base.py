"""What is known of a base model without its weights: its shape, and whether its rows can be laid end to end.

Only transformers can say it, which takes seconds to load, so what it said of a config is kept.
"""

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core import cache
from core.errors import TrainError
from core.models import by_hub_id
from core.presets import base_model
from core.spec import RunSpec
from core.text.reach import hub_answers, is_local, means_a_path
from core.train.plan import ModelShape, shape_of
from core.train.plan.shape import Linear

CONFIG = "config.json"


def known_shape(spec: RunSpec) -> tuple[ModelShape, str | None]:
    """The model's shape, and why its rows must be padded, if they must; TrainError if nothing is known of it, or if it
    has no layer that method.target_modules names."""
    name = base_model(spec.model.base)
    if not is_local(name) and means_a_path(name):
        raise TrainError(f"There is no folder {spec.model.base}: check the path in model.base.")
    file, listed = _config_file(name, spec.model.revision), _listed_shape(spec.model.base)
    if file is None and listed:
        return _of_listed(listed)
    if file is None:
        return _looked_at(spec, name, listed)
    made_by = cache.code_of("train"), version("transformers")
    key = cache.key_of(made_by, file.read_bytes(), _wanted(spec), listed)
    kept = cache.values("shapes", key, lambda: _as_dict(*_looked_at(spec, name, listed)))
    return _as_shape(kept["shape"]), kept["why_padded"]


def _config_file(name: str, revision: str | None) -> Path | None:
    """The config on this machine, fetched if the model is on the Hub; None if there is none that can be had."""
    if is_local(name):
        file = Path(name) / CONFIG
        return file if file.is_file() else None
    import httpx2
    from huggingface_hub import errors, hf_hub_download, try_to_load_from_cache

    try:
        return Path(hf_hub_download(name, CONFIG, revision=revision, local_files_only=not hub_answers()))
    except errors.HFValidationError:
        return None
    except (httpx2.HTTPError, OSError):  # as for a gated one, of which there may be a copy all the same
        copy = try_to_load_from_cache(name, CONFIG, revision=revision)
        return Path(copy) if isinstance(copy, str) else None


def _looked_at(spec: RunSpec, name: str, listed: ModelShape | None) -> tuple[ModelShape, str | None]:
    """What transformers makes of the config, or what is listed where it cannot read it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from core.train.attention import can_pack

    only_here = is_local(name) or not hub_answers()
    try:
        config = AutoConfig.from_pretrained(name, revision=spec.model.revision, local_files_only=only_here)
    except (OSError, ValueError) as error:
        if listed:
            return _of_listed(listed)
        first = str(error).strip().splitlines()[0]
        raise TrainError(f"The base model {spec.model.base!r} cannot be looked at: {first}") from error
    shape = shape_of(config.to_dict())
    if shape is None:
        raise TrainError(
            f"The config of {spec.model.base!r} does not say how many layers, heads and tokens the model has, so that "
            "nothing can be planned for it."
        )
    if wanted := _wanted(spec):
        from core.train.methods import targets

        with torch.device("meta"):
            targets(wanted, AutoModelForCausalLM.from_config(config))
    return shape, can_pack(config)


def _wanted(spec: RunSpec) -> tuple[str, ...]:
    """The layers that are named, where it matters that the model has them."""
    return spec.method.target_modules if spec.method.kind != "full" else ()


def _listed_shape(base: str) -> ModelShape | None:
    """From the list of known models, for one that cannot be reached."""
    model = by_hub_id(base)
    return shape_of(model.shape) if model else None


def _of_listed(shape: ModelShape) -> tuple[ModelShape, str | None]:
    return shape, "its attention has sinks" if shape.sinks else None


def _as_dict(shape: ModelShape, why_padded: str | None) -> dict[str, Any]:
    return {"shape": asdict(shape), "why_padded": why_padded}


def _as_shape(values: dict[str, Any]) -> ModelShape:
    return ModelShape(**values | {"linears": tuple(Linear(**each) for each in values["linears"])})
