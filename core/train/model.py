"""Loading the base model, giving new tokens their rows, and opening base and tuned model together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    GenerationConfig,
    Mxfp4Config,
    PreTrainedConfig,
    PreTrainedModel,
)

from core.errors import RunError, TrainError
from core.presets import base_model
from core.runs.store import Run
from core.spec import RunSpec
from core.text.load import Text, load_text
from core.text.reach import hub_answers, is_local
from core.train.device import wanted_threads
from core.train.installed import check_installed
from core.train.limits import LARGE

ROOM = 1.25  # memory that answering takes, as a multiple of the weights'


def device_for(spec: RunSpec) -> torch.device:
    """TrainError if a GPU is asked for and there is none."""
    there = torch.cuda.is_available()
    if spec.compute.device == "cuda" and not there:
        raise TrainError("compute.device is cuda, but torch sees no GPU here; set it to auto or cpu.")
    return torch.device("cuda" if there and spec.compute.device != "cpu" else "cpu")


def set_threads(spec: RunSpec) -> None:
    """As many as the settings say, else as OMP_NUM_THREADS says, else one for each physical core that is ours."""
    if threads := wanted_threads(spec):
        torch.set_num_threads(threads)


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether bfloat16 products are made by the hardware; emulated ones are slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def training_dtype(spec: RunSpec, parameters: int, bfloat16: bool) -> torch.dtype:
    """The precision that the base's weights are held in while training. What is trained is held in float32; a frozen
    base is held in bfloat16 if it is large, or in 4 bits but for its norms, embedding and head."""
    kept_small = parameters >= LARGE or spec.method.kind == "qlora"
    return torch.bfloat16 if bfloat16 and spec.method.kind != "full" and kept_small else torch.float32


def load_for_training(spec: RunSpec, text: Text, bfloat16: bool) -> PreTrainedModel:
    """The base as the method wants it, in its final precision from the beginning: never a larger copy first.

    `bfloat16` is the plan's: whether products are computed in it.
    """
    dtype = training_dtype(spec, base_parameters(spec), bfloat16)
    return load_base(spec, text, dtype, quantized=spec.method.kind == "qlora")


def base_parameters(spec: RunSpec) -> int:
    """How many the base has, tied ones counted once; from its config, without its weights."""
    config = _from_base(spec, AutoConfig)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config).num_parameters()


def load_base(spec: RunSpec, text: Text, dtype: torch.dtype, quantized: bool = False) -> PreTrainedModel:
    """The base model with a row for every token; rows of added tokens are the mean of the rows that were there.

    Quantized, its linear layers are held in 4 bits and compute in `dtype` (Dettmers et al. 2023, arXiv 2305.14314);
    everything else, embedding and head too, is held in `dtype`. So are norms, which compute in float32 whatever they
    are held in: as float32 weights, frozen, they would say the same and make every activation after them twice as large.

    Raises TrainError if there is no such model, if it needs code from the Hub, or if its embedding is smaller than
    the tokenizer was before tokens were added: then tokenizer and model do not belong together. A larger one is fine:
    many are padded.
    """
    ids = text.tokenizer.get_vocab()
    own = 1 + max(id_ for token, id_ in ids.items() if token not in text.added)
    # Before the weights, which can take long to come.
    config = _from_base(spec, AutoConfig)
    settings = _quantized(spec, config, dtype) if quantized else _published(config)
    rows = config.get_text_config().vocab_size
    if rows < own:
        raise TrainError(
            f"The tokenizer {spec.model.tokenizer or spec.model.base!r} has ids from 0 to {own - 1:,} but the embedding of "
            f"{spec.model.base!r} has rows for 0 to {rows - 1:,}, so they do not belong together: set model.tokenizer to "
            "the one that the model was trained with."
        )
    model = _from_base(spec, AutoModelForCausalLM, dtype=dtype, use_safetensors=True, **settings)
    _tidy(model.generation_config)
    wanted = 1 + max(ids.values())
    if wanted > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(wanted, mean_resizing=False)
    set_rows_to_mean(model, text.added_ids, own)
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            # bitsandbytes 0.50 lays 4-bit weights out anew on a processor when a model first answers, and from then on
            # no gradient passes them: all that is trained after the first look at the held-out loss would be wrong.
            layer.support_avx512bf16_for_cpu = False
    return model


def _published(config: PreTrainedConfig) -> dict[str, Any]:
    """GPT-OSS is published with experts in 4 bits of its own kind, which only answering can use: they are unpacked."""
    own = getattr(config, "quantization_config", None) or {}
    if (own.get("quant_method") if isinstance(own, dict) else own.quant_method) != "mxfp4":
        return {}
    return {"quantization_config": Mxfp4Config(dequantize=True)}


def _quantized(spec: RunSpec, config: PreTrainedConfig, dtype: torch.dtype) -> dict[str, Any]:
    """NF4 with quantized scales, as in QLoRA; TrainError if it cannot be had here, or would hold little of the model."""
    if getattr(config, "quantization_config", None):
        raise TrainError(
            f"method.kind qlora holds a base in 4 bits, but {spec.model.base!r} is published quantized already: choose "
            "lora, or a base in 16 bits."
        )
    if getattr(config.get_text_config(), "num_experts_per_tok", None):
        raise TrainError(
            "method.kind qlora holds linear layers in 4 bits, but most of this model are experts, which would stay as "
            "they are: choose lora."
        )
    check_installed(spec)
    require_bitsandbytes(device_for(spec))
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        ),
        "device_map": {"": device_for(spec)},
    }


def require_bitsandbytes(device: torch.device) -> None:
    """TrainError if a base cannot be held in 4 bits on the device, in one sentence; bitsandbytes is loaded here."""
    try:
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

        packed, state = quantize_4bit(
            torch.ones(64, 64, device=device), quant_type="nf4", compress_statistics=True
        )
        dequantize_4bit(packed, state)
    except (ImportError, OSError, RuntimeError, NotImplementedError, AttributeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TrainError(
            f"method.kind qlora needs bitsandbytes, which does not run on {device.type} here ({first}): choose lora."
        ) from error


def _from_base(spec: RunSpec, kind: type, **settings: Any) -> Any:
    name = base_model(spec.model.base)
    only_here = is_local(name) or not hub_answers()
    try:
        return kind.from_pretrained(
            name, revision=spec.model.revision, local_files_only=only_here, **settings
        )
    except (OSError, ValueError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0]
        raise TrainError(f"The base model {spec.model.base!r} cannot be loaded: {first}") from error


def _tidy(config: GenerationConfig) -> None:
    """Sampling settings without sampling, which Llama 2 came with: transformers refuses to save them."""
    if not config.do_sample:
        for name in ("temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"):
            setattr(config, name, None)


def beyond_context(config: PreTrainedConfig, longest: int) -> str | None:
    """A warning if rows of so many tokens are computed with positions that depend on what is computed beside them: a
    model whose rotary embedding is chosen by the longest row in sight (longrope, dynamic) is then no function of the
    row alone. None otherwise."""
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or {}
    if rope.get("rope_type") not in ("longrope", "dynamic"):
        return None
    made_for = rope.get("original_max_position_embeddings") or text.max_position_embeddings
    if longest <= made_for:
        return None
    return (
        f"The longest row has {longest:,} tokens, and the base's positions were made for {made_for:,}: beyond them they depend "
        f"on what is computed beside a row. Set train.max_length to {made_for} or less."
    )


def stored_dtype(spec: RunSpec) -> torch.dtype:
    """The precision in which the base is published; float32 if its config does not say."""
    return (
        AutoConfig.from_pretrained(base_model(spec.model.base), revision=spec.model.revision).dtype
        or torch.float32
    )


@torch.no_grad()
def set_rows_to_mean(model: PreTrainedModel, ids: Sequence[int], old: int) -> None:
    """Rows `ids` of the embedding and of the head become the mean of the first `old` rows.

    A random row would make the first steps shout: its logit is off by more than all the others'.
    """
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        if ids and layer is not None:
            weight = layer.weight  # (vocabulary, hidden)
            weight[list(ids)] = weight[:old].float().mean(0).to(weight.dtype)


def inference_dtype(model_parameters: int, device: torch.device) -> torch.dtype:
    return torch.bfloat16 if model_parameters >= LARGE or device.type == "cuda" else torch.float32


class Pair:
    """Base and tuned model, for answering and scoring. With an adapter both share one copy of the weights."""

    def __init__(self, text: Text, tuned: PreTrainedModel, base: PreTrainedModel | None) -> None:
        self.text = text
        self._tuned = tuned
        self._base = base  # None: the tuned model with its adapter switched off

    @property
    def device(self) -> torch.device:
        return self._tuned.device

    @contextmanager
    def side(self, name: str) -> Iterator[PreTrainedModel]:
        """The model to call: `base` or `tuned`."""
        if name == "tuned":
            yield self._tuned
        elif self._base is not None:
            yield self._base
        else:
            with self._tuned.disable_adapter():
                yield self._tuned


def open_pair(
    run: Run,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    quantized: bool | None = None,
) -> Pair:
    """The run's base and tuned model, ready to answer; precision and device as suits the model unless given.

    The adapter of a qlora run is opened on the base as it was published, which is what its users will have and what
    is merged; in 4 bits, as it was trained, only if that does not fit into memory.

    RunError if the run has not been trained to its end.
    """
    if not run.final.is_dir():
        raise RunError(f"The run {run.name!r} has no final model yet: it must be trained to its end first.")
    spec = run.spec
    device = device or device_for(spec)
    text = load_text(spec)
    parameters = base_parameters(spec)
    dtype = dtype or inference_dtype(parameters, device)
    if quantized is None:
        fits = parameters * dtype.itemsize * ROOM < free_memory(device)
        quantized = spec.method.kind == "qlora" and not fits
    base = load_base(spec, text, dtype, quantized)
    if is_adapter(run.final):
        from peft import PeftModel

        tuned = PeftModel.from_pretrained(base, run.final)
        return Pair(text, _ready(tuned, device), None)
    tuned = AutoModelForCausalLM.from_pretrained(run.final, dtype=base.dtype)
    return Pair(text, _ready(tuned, device), _ready(base, device))


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on the device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available


def is_adapter(folder: Path) -> bool:
    return (folder / "adapter_config.json").is_file()


def without_router_logits(config: PreTrainedConfig) -> None:
    """Only training needs how experts were chosen; a model that answers fails over them."""
    if hasattr(config.get_text_config(), "output_router_logits"):
        config.get_text_config().output_router_logits = False


def _ready(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    without_router_logits(model.config)
    return model.to(device).eval().requires_grad_(False)
