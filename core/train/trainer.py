"""TRL's SFTTrainer with its own way through a step: all its examples come at once and are computed in parts.

A step takes exactly as many examples as it was asked to, whatever the parts are. Its loss is a mean over the learnt
tokens of all processes, the held-out loss is one over all held-out tokens, and a checkpoint appears whole or not at all.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ModelOutput
from transformers.trainer_utils import EvalLoopOutput, rotate_checkpoints
from trl import SFTConfig, SFTTrainer

from core.runs.store import Run
from core.spec import RunSpec
from core.text.encode import NOT_TRAINED
from core.train.attention import attend_per_document, without_mask
from core.train.batches import Batch, Part, Split, StepLoader, Steps, divided, parts
from core.train.checkpoints import writing
from core.train.distributed import ranks, sharing
from core.train.fused import lighten
from core.train.loss import Head
from core.train.plan import Plan

OPTIMIZERS = {"adamw": "adamw_torch_fused", "adamw_8bit": "adamw_bnb_8bit", "adafactor": "adafactor"}
HELD_OUT_ROWS = 64  # of a process, sorted by length and split as a step is


@dataclass
class Settings(SFTConfig):
    """TRL's, and what a step consists of."""

    rows_per_step: int = field(default=16, metadata={"help": "Examples of a step, over all processes."})
    tokens_at_once: int = field(default=4096, metadata={"help": "Most tokens of a micro-batch."})
    rows_at_once: int = field(default=4096, metadata={"help": "Most rows of a micro-batch."})
    end_to_end: bool = field(default=False, metadata={"help": "Whether rows are laid end to end."})


class Trainer(SFTTrainer):
    """Takes rows that are encoded already: columns `input_ids` and `labels`."""

    in_order = False  # whether rows are trained in their order, as a curriculum wants it
    tokens_seen = 0  # real tokens of the training batches, of all processes, padding not counted

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.split = Split(self.args.tokens_at_once, self.args.rows_at_once)  # may be changed between steps
        self.packing = self.args.end_to_end and attend_per_document(self.model)
        if self.args.device.type == "cpu":
            lighten(self.model)
        self._head = Head(self.model)
        self._held_out = torch.zeros(3, dtype=torch.float64)  # nll in nats, tokens ranked first, tokens

    def create_accelerator_and_postprocess(self) -> None:
        sharing.set_up(self.args)
        super().create_accelerator_and_postprocess()

    def get_train_dataloader(self) -> DataLoader:
        return self._loader(
            self.train_dataset, self.args.rows_per_step, self.in_order, self.args.dataloader_num_workers
        )

    def get_eval_dataloader(self, eval_dataset: Dataset | None = None) -> DataLoader:
        rows = eval_dataset if eval_dataset is not None else self.eval_dataset
        return self._loader(rows, HELD_OUT_ROWS * self.accelerator.num_processes, in_order=True, workers=0)

    def _loader(self, rows: Dataset, rows_per_step: int, in_order: bool, workers: int) -> DataLoader:
        """Every process has as many steps; of the last one its share may be empty."""
        return StepLoader(
            rows.select_columns(["input_ids", "labels"]).with_format("numpy"),
            Steps(
                len(rows),
                rows_per_step,
                self.args.data_seed if self.args.data_seed is not None else self.args.seed,
                in_order,
                self.accelerator.process_index,
                self.accelerator.num_processes,
            ),
            num_workers=workers,
            pin_memory=self.args.dataloader_pin_memory,
        )

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> torch.Tensor:
        """Learnt tokens of the step, over all processes."""
        count = sum((batch["targets"] != NOT_TRAINED).sum() for batch in batch_samples)
        count = torch.as_tensor(count, device=device)
        return self.accelerator.gather(count).sum() if self.accelerator.num_processes > 1 else count

    def training_step(
        self, model: nn.Module, inputs: Batch, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Forward and backward of the step's rows, part by part; the loss is over the learnt tokens of the step."""
        model.train()
        if callable(getattr(self.optimizer, "train", None)):
            self.optimizer.train()
        step = self._parts(inputs)
        tokens = sum(part.tokens for part in step)
        self.tokens_seen += ranks.total(int(inputs["lengths"].sum()))
        # Gradients are averaged over the processes afterwards, and so is the loss that is written down.
        scale = self.accelerator.num_processes / num_items_in_batch.clamp(min=1)
        total = torch.zeros((), device=self.args.device)
        for number, part in enumerate(step, 1):
            last = number == len(step)
            self.accelerator.gradient_state._set_sync_gradients(last)  # what DeepSpeed goes by
            with nullcontext() if last else self.accelerator.no_sync(model):
                with self.maybe_activation_offload_context:
                    output, nll, _ = self._forward(model, part)
                    loss = nll * scale
                    total += loss.detach()
                    if self.aux_loss_enabled and output.aux_loss is not None:
                        # Keeps experts in balance; a mean over the micro-batch, and no part of what is written down.
                        share = self.router_aux_loss_coef * part.tokens / tokens
                        loss = loss + share * output.aux_loss
                self.accelerator.backward(loss)
        return total

    def prediction_step(self, model: nn.Module, inputs: Batch, *args: Any, **kwargs: Any) -> tuple:
        """Adds the rows to the sums of the held-out loss; the loss of these alone is of no use to anybody."""
        with torch.no_grad():
            for part in self._parts(inputs):
                _, nll, first = self._forward(model, part)
                tokens = int((part.targets != NOT_TRAINED).sum())
                self._held_out += torch.tensor([nll.item(), first.item(), tokens], dtype=torch.float64)
        return torch.zeros((), device=self.args.device), None, None

    def _parts(self, inputs: Batch) -> list[Part]:
        """As many in every process: where layers are shared, all must call them together."""
        groups = divided(inputs["lengths"].tolist(), self.split, self.packing)
        count = len(groups)
        if self.accelerator.num_processes > 1:
            count = int(self.accelerator.gather(torch.tensor([count], device=self.args.device)).max())
        return list(parts(inputs, groups, self.packing, self.args.device, count))

    def _forward(self, model: nn.Module, part: Part) -> tuple[ModelOutput, torch.Tensor, torch.Tensor]:
        with without_mask() if self.packing else nullcontext():
            return self._head.loss(model, part.fed, part.targets)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """As transformers', but `eval_loss` is a mean over tokens; transformers' is one over batches."""
        self._held_out.zero_()
        output = super().evaluation_loop(*args, **kwargs)
        nll, first, tokens = self.accelerator.reduce(self._held_out.to(self.args.device), "sum").tolist()
        output.metrics["eval_loss"] = nll / max(tokens, 1)
        output.metrics["eval_token_accuracy"] = first / max(tokens, 1)
        return output

    def _save_checkpoint(self, model: PreTrainedModel, trial: Any) -> None:
        """Written beside, sealed with the hashes of its files, then renamed."""
        folder, name = Path(self.args.output_dir), f"checkpoint-{self.state.global_step}"
        with writing(folder, name) as beside:
            self.args.output_dir = str(beside.parent)
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self.args.output_dir = str(folder)
            if self.state.best_global_step:
                self.state.best_model_checkpoint = str(folder / f"checkpoint-{self.state.best_global_step}")
            if self.args.should_save:
                self.state.save_to_json(str(beside / "trainer_state.json"))
        if self.args.should_save:
            rotate_checkpoints(str(folder), self.args.save_total_limit, self.state.best_model_checkpoint)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """An adapter is saved without the whole embedding: its new rows are in the adapter."""
        if hasattr(self.model, "peft_config"):
            self.model.save_pretrained(output_dir, state_dict=state_dict, save_embedding_layers=False)
            self.processing_class.save_pretrained(output_dir)
        else:
            super()._save(output_dir, state_dict)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None here: the card that is published is written from the run's own record."""


def balance_of_experts(spec: RunSpec, config: PreTrainedConfig) -> dict[str, float]:
    """Settings by which only a router that is trained, of a model that says so itself, is kept in balance.

    TRL would take any coefficient it finds, and published configs hold some that were never in use: 0.9 in gpt-oss's,
    with which the balance weighs more than the examples.
    """
    wanted = spec.method.kind == "full" and getattr(config.get_text_config(), "output_router_logits", False)
    return {} if wanted else {"router_aux_loss_coef": 0.0}


def trainer_settings(
    spec: RunSpec, plan: Plan, run: Run, cpu: bool, shared: dict[str, Any] | None = None
) -> Settings:
    """The plan in TRL's words. Nothing is left to a default that would change what is trained.

    `shared` says how several processes share the model; it goes before what the plan says.
    """
    train = spec.train
    shared = {"gradient_checkpointing": plan.gradient_checkpointing} | (shared or {})
    measure = "steps" if plan.held_out else "no"
    return Settings(
        output_dir=str(run.checkpoints),
        seed=train.seed,
        data_seed=train.seed,
        max_steps=plan.total_steps,
        rows_per_step=plan.batch_size,
        tokens_at_once=plan.tokens_at_once,
        rows_at_once=plan.micro_batch_size,
        end_to_end=plan.packing,
        # A step comes whole: transformers must neither gather it from parts nor count it as one.
        per_device_train_batch_size=max(1, plan.batch_size // spec.compute.processes),
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=1,
        learning_rate=plan.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(train.schedule, train.schedule),
        warmup_steps=plan.warmup_steps,
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_gradient_norm,
        optim=OPTIMIZERS[plan.optimizer],
        bf16=plan.bfloat16,
        use_cpu=cpu,
        # Rows are cut before they come here, and counted; TRL would do it without a word.
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
        **shared,
    )
