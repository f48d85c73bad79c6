"""The ways to train: which parameters move. Each is a function from settings to a PEFT configuration, or none."""

from peft import LoraConfig, PeftConfig
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from core.errors import TrainError
from core.spec import RunSpec
from core.text.load import Text


def lora(spec: RunSpec, model: PreTrainedModel, text: Text) -> PeftConfig:
    """Added matrices beside every chosen linear layer; rows of added tokens are trained and saved too.

    The rows matter: a chat token whose row stays where it was put can be neither read nor written.
    """
    method = spec.method
    _check_targets(method.target_modules, model)
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=method.rank,
        lora_alpha=method.alpha or 2 * method.rank,
        lora_dropout=method.dropout,
        target_modules=list(method.target_modules) or "all-linear",
        trainable_token_indices=_token_rows(model, text.added_ids),
    )


def full(spec: RunSpec, model: PreTrainedModel, text: Text) -> None:
    """Every weight."""


METHODS = {"lora": lora, "full": full}


def _check_targets(targets: tuple[str, ...], model: PreTrainedModel) -> None:
    """TrainError if a name is not that of a layer that can get added matrices."""
    linear = {name for name, module in model.named_modules() if isinstance(module, (nn.Linear, Conv1D))}
    ends = sorted({name.rsplit(".", 1)[-1] for name in linear})
    for target in targets:
        if not any(name == target or name.endswith(f".{target}") for name in linear):
            raise TrainError(
                f"method.target_modules: the model has no linear layer {target!r}; it has {', '.join(ends)}."
            )


def _token_rows(model: PreTrainedModel, ids: list[int]) -> dict[str, list[int]] | None:
    """The rows to train, by the layer that holds them; a head tied to the embedding follows by itself."""
    if not ids:
        return None
    layers = [model.get_input_embeddings()]
    if not model.config.get_text_config().tie_word_embeddings:
        layers.append(model.get_output_embeddings())
    names = {id(module): name for name, module in model.named_modules()}
    return {names[id(layer)].rsplit(".", 1)[-1]: ids for layer in layers}
