"""The ways to train: which parameters move. Each is a function from settings to a PEFT configuration, or none;
`adapt` puts it on a model. Scales and learning rates are in `rates`."""

import difflib
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer, ParamWrapper
from torch import nn
from torch.nn.modules.conv import _ConvNd
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from core.errors import TrainError
from core.spec import RunSpec
from core.text.load import Text
from core.train.rates import alpha, expert_rank

ALL = "all-linear"
EXACT_SVD = (
    1024  # up to this many rows or columns; larger weights get the randomized one, seconds instead of minutes
)
# What the layers of experts were called before they became one tensor. PEFT reads a target of such a name as all the
# experts', although a dense layer beside them may have it.
FORMERLY_EXPERTS = {"gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}


def full(spec: RunSpec, model: PreTrainedModel, text: Text) -> None:
    """Every weight."""


def lora(spec: RunSpec, model: PreTrainedModel, text: Text) -> PeftConfig:
    """Added matrices beside every chosen layer (Hu et al. 2021, arXiv 2106.09685); by default beside all linear ones
    and all experts, since on attention alone it learns less even at equal size ("LoRA Without Regret", 2025)."""
    return _added(spec, model, text)


def qlora(spec: RunSpec, model: PreTrainedModel, text: Text) -> PeftConfig:
    """LoRA over a base in 4 bits (Dettmers et al. 2023, arXiv 2305.14314), which `load_for_training` makes."""
    return _added(spec, model, text)


def dora(spec: RunSpec, model: PreTrainedModel, text: Text) -> PeftConfig:
    """LoRA that turns each row of a weight, and a trained length for it (Liu et al. 2024, arXiv 2402.09353)."""
    return _added(spec, model, text, use_dora=True)


def rslora(spec: RunSpec, model: PreTrainedModel, text: Text) -> PeftConfig:
    """LoRA scaled by alpha / sqrt(rank) (Kalajdzievski 2023, arXiv 2312.03732)."""
    return _added(spec, model, text, use_rslora=True)


def pissa(spec: RunSpec, model: PreTrainedModel, text: Text) -> PeftConfig:
    """LoRA that begins as the principal part of each weight (Meng et al. 2024, arXiv 2404.02948).

    The paper takes that part out of the base. Here the base stays as it is and the part is subtracted by a second,
    unmoving half of the same matrices: W + BA - B0 A0. So there is nothing to convert when it is saved: what is saved
    is a LoRA of twice the rank for the untouched base, a checkpoint holds where it began, and the base's own weights,
    rounded to 16 bits or not, are never touched. The same idea turns a finished PiSSA into a LoRA in PEFT.
    """
    return _added(spec, model, text, r=2 * spec.method.rank, lora_alpha=2 * alpha(spec.method))


METHODS = {"full": full, "lora": lora, "qlora": qlora, "dora": dora, "rslora": rslora, "pissa": pissa}


def adapt(spec: RunSpec, model: PreTrainedModel, text: Text) -> PreTrainedModel | PeftModel:
    """The model, ready to be trained by the run's method; the same seed gives the same added matrices.

    TrainError in a sentence that names the setting if the method cannot be used on this model.
    """
    config = METHODS[spec.method.kind](spec, model, text)
    if config is None:
        return model
    with torch.random.fork_rng(range(torch.cuda.device_count())), warnings.catch_warnings():
        # PEFT looks for the rank of experts among layers alone, and finds no use for it.
        warnings.filterwarnings("ignore", message="The following rank_pattern keys did not match")
        torch.manual_seed(spec.train.seed)
        adapted = get_peft_model(model, config)
        if spec.method.kind == "pissa":
            _begin_at_principal_part(adapted, spec.method.rank)
    return adapted


def keep_in_float32(model: PreTrainedModel | PeftModel) -> None:
    """Trained parameters in float32, whatever the base's precision; before an optimizer is made.

    TRL puts those beside a quantized base in bfloat16, where a step of 2e-4 is often less than the last digit.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


@dataclass(frozen=True)
class Targets:
    """What gets added matrices, by name."""

    linear: tuple[str, ...]  # layers, in full
    experts: tuple[
        str, ...
    ]  # parameters that hold a weight for each expert: (experts, in, out) or (experts, out, in)


def targets(wanted: tuple[str, ...], model: PreTrainedModel) -> Targets:
    """The layers and experts that `method.target_modules` names, by the ends of their names; all if it names none.

    The output head is one of them only if it is named. TrainError if a name is nobody's.
    """
    head = model.get_output_embeddings()
    linear = {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear | Conv1D)}
    experts = [
        f"{name}.{parameter}"
        for name, each in model.named_modules()
        if not isinstance(each, _ConvNd)
        for parameter, value in each.named_parameters(recurse=False)
        if value.ndim == 3
    ]
    chosen: set[str] = set()
    for target in wanted or (ALL,):
        if target.lower() == ALL:
            found = [name for name, each in linear.items() if each is not head] + experts
        else:
            found = [name for name in (*linear, *experts) if name == target or name.endswith(f".{target}")]
        if not found:
            raise _unknown(target, [*linear, *experts])
        chosen.update(found)
    return Targets(
        tuple(name for name in linear if name in chosen), tuple(name for name in experts if name in chosen)
    )


def _unknown(target: str, names: list[str]) -> TrainError:
    ends = sorted({name.rsplit(".", 1)[-1] for name in names})
    near = difflib.get_close_matches(target, [*ends, ALL], n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return TrainError(
        f"method.target_modules: the model has no linear layer {target!r}.{meant} It has {', '.join(ends)}; "
        f"{ALL} is all of them."
    )


def _added(spec: RunSpec, model: PreTrainedModel, text: Text, **special: Any) -> PeftConfig:
    """Added matrices beside the chosen layers; rows of added tokens are trained and saved too.

    The rows matter: a chat token whose row stays where it was put can be neither read nor written.
    """
    method = spec.method
    chosen = targets(method.target_modules, model)
    _check(spec, chosen, model, text)
    mistakable = {name for name in chosen.linear if chosen.experts and _end(name) in FORMERLY_EXPERTS}
    ends = {_end(name, 2) for name in chosen.experts}
    each = expert_rank(method.rank, getattr(model.config.get_text_config(), "num_experts_per_tok", None) or 1)
    settings = {
        "task_type": "CAUSAL_LM",
        "r": method.rank,
        "lora_alpha": alpha(method),
        "lora_dropout": method.dropout,
        "target_modules": sorted(set(chosen.linear) - mistakable),
        "target_parameters": sorted(ends | {f"{name}.weight" for name in mistakable}) or None,
        "rank_pattern": {end.replace(".", r"\."): each for end in sorted(ends) if each != method.rank},
        "trainable_token_indices": _token_rows(model, text.added_ids),
    }
    return LoraConfig(**settings | special)


def _check(spec: RunSpec, chosen: Targets, model: PreTrainedModel, text: Text) -> None:
    """TrainError for what PEFT, or a part of it, cannot do on these layers."""
    method = spec.method
    if chosen.experts:
        names = ", ".join(sorted({_end(name, 2) for name in chosen.experts}))
        others = "name other layers in method.target_modules, such as q_proj and v_proj"
        if method.dropout:
            raise TrainError(
                f"method.dropout is {method.dropout:g}, but there can be no dropout on experts ({names}), whose weights "
                f"are one tensor: set it to 0, or {others}."
            )
        if method.kind in ("dora", "pissa"):
            raise TrainError(
                f"method.kind {method.kind} cannot be used on experts ({names}), whose weights are one tensor: choose "
                f"lora or rslora, or {others}."
            )
    if method.kind == "pissa" and spec.compute.strategy != "ddp":
        raise TrainError(
            f"method.kind pissa holds half of its matrices still, which compute.strategy {spec.compute.strategy} does "
            "not keep to: choose ddp, or lora."
        )
    head = model.get_output_embeddings()
    headed = [name for name in chosen.linear if model.get_submodule(name) is head]
    if headed:  # TRL refuses it as well, in other words
        raise TrainError(
            f"method.target_modules: {headed[0]} is the head, which gets no added matrices: leave it out."
        )


def _end(name: str, parts: int = 1) -> str:
    return ".".join(name.split(".")[-parts:])


def _token_rows(model: PreTrainedModel, ids: list[int]) -> dict[str, list[int]] | None:
    """The rows to train, by the layer that holds them; a head tied to the embedding follows by itself."""
    if not ids:
        return None
    layers = [model.get_input_embeddings()]
    if not model.config.get_text_config().tie_word_embeddings:
        layers.append(model.get_output_embeddings())
    names = {id(module): name for name, module in model.named_modules()}
    return {_end(names[id(layer)]): ids for layer in layers}


@torch.no_grad()
def _begin_at_principal_part(model: PeftModel, rank: int) -> None:
    """Of each layer's two halves of `rank`, both begin at the weight's principal part; the second, negative, stays."""
    for layer in model.modules():
        if (
            not isinstance(layer, LoraLayer)
            or isinstance(layer, ParamWrapper)
            or "default" not in layer.lora_A
        ):
            continue
        down, up = (
            layer.lora_A["default"].weight,
            layer.lora_B["default"].weight,
        )  # (2 rank, in), (out, 2 rank)
        weight = layer.get_base_layer().weight.float()
        left, sizes, right = _principal(weight.T if layer.fan_in_fan_out else weight, rank)
        roots = (sizes / layer.scaling["default"]).sqrt()
        found = len(sizes)  # fewer than the rank if the weight has fewer directions
        down.zero_()
        up.zero_()
        for half, sign in ((0, 1), (rank, -1)):
            down[half : half + found] = roots[:, None] * right
            up[:, half : half + found] = sign * left * roots
        down.register_hook(lambda gradient: _first(gradient, 0, rank))
        up.register_hook(lambda gradient: _first(gradient, 1, rank))


def _principal(weight: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The largest singular values (k) of weight (out, in), their left (out, k) and right (k, in) vectors."""
    if min(weight.shape) <= EXACT_SVD:
        left, sizes, right = torch.linalg.svd(weight, full_matrices=False)
        return left[:, :rank], sizes[:rank], right[:rank]
    # 16 iterations as in the runs of PiSSA's authors; a few columns more than are kept, which sharpens the last of them.
    left, sizes, right = torch.svd_lowrank(weight, q=min(rank + 16, min(weight.shape)), niter=16)
    return left[:, :rank], sizes[:rank], right[:, :rank].T


def _first(gradient: torch.Tensor, dimension: int, count: int) -> torch.Tensor:
    """The gradient with all but the first `count` rows or columns set to nothing."""
    kept = torch.zeros_like(gradient)
    kept.narrow(dimension, 0, count).copy_(gradient.narrow(dimension, 0, count))
    return kept
