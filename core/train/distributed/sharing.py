"""What several processes share of a model, as their libraries want it said: FSDP2 or DeepSpeed, from the settings.

With neither, each process holds the whole model (DDP) and only the batch is shared.
"""

from typing import TYPE_CHECKING, Any

from core.errors import TrainError
from core.spec import RunSpec

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, TrainingArguments

    from core.train.plan import Plan
    from core.train.trainer import Trainer


def settings(
    spec: RunSpec, planned: "Plan", model: "PreTrainedModel", added_tokens: int = 0
) -> dict[str, Any]:
    """The fields of TrainingArguments that say how the model is shared; none for ddp.

    TrainError if the model cannot be: it has layers of no known kind, or rows of added tokens under an adapter.
    """
    strategy = spec.compute.strategy
    if strategy == "ddp":
        return {}
    if spec.method.kind != "full" and added_tokens:
        # PEFT keeps such rows beside the embedding and puts them in as they are needed; the embedding is not whole then.
        raise TrainError(
            f"compute.strategy {strategy} cannot train the rows of the {added_tokens} tokens that the template adds under "
            f"method.kind {spec.method.kind}: take template.kind instruct, which adds none, method.kind full, or "
            "compute.strategy ddp."
        )
    if strategy == "deepspeed":
        hidden = model.config.get_text_config().hidden_size
        return {"deepspeed": deepspeed_config(spec, planned, hidden)}
    # What FSDP computes twice it must know of itself, hence not from the trainer.
    return {"fsdp": True, "fsdp_config": fsdp_config(planned, layers(model)), "gradient_checkpointing": False}


def layers(model: "PreTrainedModel") -> tuple[str, ...]:
    """The classes of the model's layers, each of which is shared as a whole; TrainError if it names none.

    A model names those of all its relatives, too, of which it may hold none.
    """
    held = {type(module).__name__ for module in model.modules()}
    found = tuple(sorted(held & set(getattr(model, "_no_split_modules", None) or ())))
    if not found:
        raise TrainError(
            f"compute.strategy fsdp does not know the layers of a {type(model).__name__}: set compute.strategy to ddp."
        )
    return found


def fsdp_config(planned: "Plan", layers: tuple[str, ...]) -> dict[str, Any]:
    """TrainingArguments.fsdp_config for FSDP2. Checkpoints are written in shards: no process must hold all of it."""
    return {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "transformer_layer_cls_to_wrap": list(layers),
        "reshard_after_forward": True,
        "cpu_offload": False,
        "cpu_ram_efficient_loading": False,
        "state_dict_type": "SHARDED_STATE_DICT",
        "activation_checkpointing": planned.gradient_checkpointing,
    }


def deepspeed_config(spec: RunSpec, planned: "Plan", hidden_size: int) -> dict[str, Any]:
    """DeepSpeed's JSON: ZeRO 3, where weights are shared, for full training; ZeRO 2 beside the frozen ones of an adapter.

    Bucket sizes as transformers would fill them in. https://www.deepspeed.ai/docs/config-json
    """
    share = max(1, planned.batch_size // spec.compute.processes)
    zero: dict[str, Any] = {
        "stage": 3 if spec.method.kind == "full" else 2,
        "overlap_comm": True,
        "contiguous_gradients": True,
        "reduce_bucket_size": hidden_size**2,
    }
    if zero["stage"] == 3:
        zero |= {
            "stage3_prefetch_bucket_size": int(0.9 * hidden_size**2),
            "stage3_param_persistence_threshold": 10 * hidden_size,
            "stage3_gather_16bit_weights_on_model_save": True,
        }
    return {
        "zero_optimization": zero,
        "bf16": {"enabled": planned.bfloat16},
        "gradient_clipping": spec.train.max_gradient_norm,
        # For its own records: a step's examples come whole, and are taken in parts by the trainer.
        "train_micro_batch_size_per_gpu": share,
        "gradient_accumulation_steps": 1,
        "train_batch_size": share * spec.compute.processes,
    }


def whole(trainer: "Trainer") -> "dict[str, Tensor] | None":
    """All weights of a trained model, in the main process, where each holds its share; None where each holds all.

    All processes must ask.
    """
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return None
    if trainer.is_deepspeed_enabled:
        weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    else:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        adapter = hasattr(trainer.model, "peft_config")
        options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=adapter)
        weights = get_model_state_dict(trainer.model, options=options)
    for name in getattr(trainer.model, "all_tied_weights_keys", ()):
        weights.pop(name, None)  # gathered apart, it would be written twice
    return weights


def set_up(args: "TrainingArguments") -> None:
    """Before accelerate reads them: what TrainingArguments have no field for."""
    if not args.fsdp:
        return
    if args.bf16:
        import torch
        from torch.distributed.fsdp import MixedPrecisionPolicy

        # accelerate's own would add gradients up in bfloat16, and round the loss to it.
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        args.fsdp_plugin_args["mixed_precision_policy"] = policy
    if args.device.type == "cpu":
        from accelerate import PartialState
        from accelerate.utils import DistributedType

        # accelerate 1.15 passes over an FSDP plugin where the processes have no GPUs, and trains with DDP.
        # torch shares on a processor as well as anywhere.
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
