"""TRL's SFTTrainer with three things changed: the loss is computed where there is something to learn, the held-out
loss is a mean over tokens, and a checkpoint appears whole or not at all."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from datasets import Dataset
from torch.utils.data import Sampler, SequentialSampler
from transformers import PreTrainedModel
from transformers.trainer_utils import rotate_checkpoints
from trl import SFTConfig, SFTTrainer

from core.runs.store import Run
from core.spec import RunSpec
from core.train.checkpoints import seal
from core.train.plan import Plan


class Trainer(SFTTrainer):
    """Takes rows that are encoded, and packed, already: columns `input_ids`, `labels`, if packed `seq_lengths`."""

    in_order = False  # whether rows are trained in their order, as a curriculum wants it
    tokens_seen = 0  # real tokens of the training batches of this process, padding not counted

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held_out = torch.zeros(3, dtype=torch.float64)  # nll in nats, tokens ranked first, tokens

    def compute_loss(
        self,
        model: PreTrainedModel,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Mean cross entropy over the trained tokens, in nats, with logits only at positions that some row trains.

        Answers are a half to two thirds of the tokens, and on a small model the head is most of the work.
        The model's own forward makes the logits, so scaling and capping stay as the model has them.
        """
        if model.training:
            mask = inputs.get("attention_mask")
            self.tokens_seen += inputs["input_ids"].numel() if mask is None else int(mask.sum())
        labels = inputs["labels"][:, 1:]  # (rows, tokens - 1): position t predicts token t + 1
        columns = (labels != -100).any(0).nonzero().squeeze(1)
        labels = labels[:, columns]
        fed = {name: value for name, value in inputs.items() if name != "labels"}
        output = model(**fed, use_cache=False, logits_to_keep=columns)
        trained = labels != -100
        logits, targets = output.logits[trained].float(), labels[trained]  # (trained tokens, vocabulary)
        nll = F.cross_entropy(logits, targets, reduction="sum")
        if not model.training:
            first = (logits.argmax(-1) == targets).sum()
            self._held_out += torch.tensor([nll.item(), first.item(), len(targets)], dtype=torch.float64)
        count = num_items_in_batch if num_items_in_batch is not None else len(targets)
        loss = nll / torch.as_tensor(count, device=nll.device).clamp(min=1)
        if model.training and self.aux_loss_enabled:
            # Keeps experts in balance; a mean over the micro-batch, where the other is a sum over its tokens.
            parts = self.current_gradient_accumulation_steps if num_items_in_batch is not None else 1
            loss = loss + self.router_aux_loss_coef * output.aux_loss / parts
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            # Gradients are averaged over the processes afterwards.
            loss = loss * self.accelerator.num_processes
        return loss

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler | None:
        if self.in_order:
            return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)
        return super()._get_train_sampler(train_dataset)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """As transformers', but `eval_loss` is weighted by tokens; transformers' is a mean over batches' means."""
        self._held_out.zero_()
        output = super().evaluation_loop(*args, **kwargs)
        nll, first, tokens = self.accelerator.reduce(self._held_out.to(self.args.device), "sum").tolist()
        output.metrics["eval_loss"] = nll / tokens
        output.metrics["eval_token_accuracy"] = first / tokens
        return output

    def _save_checkpoint(self, model: PreTrainedModel, trial: Any) -> None:
        """Written beside, sealed with the hashes of its files, then renamed."""
        folder, name = Path(self.args.output_dir), f"checkpoint-{self.state.global_step}"
        beside = folder / ".partial"
        shutil.rmtree(beside, ignore_errors=True)
        try:
            self.args.output_dir = str(beside)
            super()._save_checkpoint(model, trial)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)  # a full disk would stay full
            raise
        finally:
            self.args.output_dir = str(folder)
        if self.state.best_global_step:
            self.state.best_model_checkpoint = str(folder / f"checkpoint-{self.state.best_global_step}")
        self.state.save_to_json(str(beside / name / "trainer_state.json"))
        seal(beside / name)
        shutil.rmtree(folder / name, ignore_errors=True)  # one that a kill left without its seal
        os.rename(beside / name, folder / name)
        rotate_checkpoints(str(folder), self.args.save_total_limit, self.state.best_model_checkpoint)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """An adapter is saved without the whole embedding: its new rows are in the adapter."""
        if hasattr(self.model, "peft_config"):
            self.model.save_pretrained(output_dir, state_dict=state_dict, save_embedding_layers=False)
            self.processing_class.save_pretrained(output_dir)
            torch.save(self.args, Path(output_dir) / "training_args.bin")
        else:
            super()._save(output_dir, state_dict)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None here: the card that is published is written from the run's own record."""


def trainer_settings(spec: RunSpec, plan: Plan, run: Run, cpu: bool) -> SFTConfig:
    """The plan in TRL's words. Nothing is left to a default that would change what is trained."""
    train = spec.train
    measure = "steps" if plan.held_out else "no"
    return SFTConfig(
        output_dir=str(run.checkpoints),
        seed=train.seed,
        data_seed=train.seed,
        max_steps=plan.total_steps,
        per_device_train_batch_size=plan.micro_batch_size,
        per_device_eval_batch_size=plan.micro_batch_size,
        gradient_accumulation_steps=plan.accumulation,
        learning_rate=plan.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(train.schedule, train.schedule),
        warmup_steps=plan.warmup_steps,
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_gradient_norm,
        optim="adamw_torch_fused",
        bf16=plan.bfloat16,
        use_cpu=cpu,
        gradient_checkpointing=plan.gradient_checkpointing,
        padding_free=plan.packing,
        # Rows are cut and packed before they come here, and counted; TRL would do it without a word.
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        eval_strategy=measure,
        eval_steps=plan.evaluate_every,
        save_strategy="steps",
        save_steps=plan.evaluate_every,
        save_total_limit=train.save_total_limit,
        load_best_model_at_end=bool(plan.held_out),
        metric_for_best_model="eval_loss" if plan.held_out else None,
        greater_is_better=False if plan.held_out else None,
        restore_callback_states_from_checkpoint=True,
        logging_steps=1,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=plan.workers,
        dataloader_pin_memory=not cpu,
    )
