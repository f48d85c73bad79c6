"""The trainer: how a step is divided changes nothing of what is trained, and its losses are those of TRL's own."""

import pytest
import torch
from datasets import Dataset
from transformers import GptOssConfig, PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer

from core.spec import RunSpec
from core.train.batches import Split
from core.train.trainer import Settings, Trainer, balance_of_experts
from tests.train.shapes import CONFIGS, REFUSED, SMALL, made, rows_of

LENGTHS = [9, 23, 4, 17, 12, 30, 8]


class Losses(TrainerCallback):
    def __init__(self):
        self.losses, self.seen = [], []

    def on_log(self, args, state, control, logs, **_):
        if "loss" in logs:
            self.losses.append(logs["loss"])


def tokenizer():
    from tokenizers import Tokenizer, models

    words = Tokenizer(models.WordLevel({"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}, "<unk>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


def data():
    return Dataset.from_list(
        [{name: values.tolist() for name, values in row.items()} for row in rows_of(LENGTHS)]
    )


def train(folder, config, kind=Trainer, split=None, **settings):
    seen = Losses()
    common = {"output_dir": str(folder), "max_steps": 4, "learning_rate": 1e-2, "logging_steps": 1, "use_cpu": True,
              "save_strategy": "no", "report_to": "none", "disable_tqdm": True, "bf16": False, "max_length": None,
              "gradient_checkpointing": False, "dataset_kwargs": {"skip_prepare_dataset": True},
              "train_sampling_strategy": "sequential", "dataloader_pin_memory": False}  # fmt: skip
    if kind is Trainer:
        args = Settings(**common, rows_per_step=3, **settings)
    else:
        args = SFTConfig(**common, per_device_train_batch_size=3)
    trainer = kind(
        made(config),
        args,
        train_dataset=data(),
        eval_dataset=data(),
        processing_class=tokenizer(),
        callbacks=[seen],
    )
    trainer.in_order = True
    if split:
        trainer.split = split
    trainer.train()
    return seen.losses, trainer


@pytest.mark.parametrize("name", ["llama", "cohere, logits scaled", "gpt2"])
def test_losses_are_those_of_trl(tmp_path, name):
    CONFIGS[name].resid_pdrop = CONFIGS[name].embd_pdrop = CONFIGS[name].attn_pdrop = 0.0
    theirs, _ = train(tmp_path, CONFIGS[name], SFTTrainer)
    mine, trainer = train(tmp_path, CONFIGS[name], end_to_end=True)
    assert trainer.packing and mine == pytest.approx(theirs, rel=2e-4)


def test_only_a_router_that_is_trained_and_asks_for_it_is_kept_in_balance(tmp_path):
    config = GptOssConfig(**SMALL, head_dim=8, num_local_experts=4, router_aux_loss_coef=0.9)
    full, lora = (RunSpec.from_dict({"method": {"kind": kind}}) for kind in ("full", "lora"))
    settings = balance_of_experts(full, config)
    assert settings == balance_of_experts(lora, config) == {"router_aux_loss_coef": 0.0}
    losses, trainer = train(tmp_path, config, **settings)
    assert not trainer.aux_loss_enabled and len(losses) == 4
    config.output_router_logits = True
    assert balance_of_experts(full, config) == {} != balance_of_experts(lora, config)


@pytest.mark.parametrize("end_to_end", [True, False])
def test_how_a_step_is_divided_changes_nothing_but_rounding(tmp_path, end_to_end):
    whole, trainer = train(tmp_path, CONFIGS["llama"], end_to_end=end_to_end)
    divided, again = train(tmp_path, CONFIGS["llama"], split=Split(16, 2), end_to_end=end_to_end)
    assert divided == pytest.approx(whole, rel=1e-4)
    assert trainer.tokens_seen == again.tokens_seen == sum(LENGTHS) + sum(LENGTHS[:3])
    for mine, theirs in zip(again.model.parameters(), trainer.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-2, atol=1e-3)


def test_a_model_that_cannot_is_padded_and_says_so(tmp_path):
    losses, trainer = train(tmp_path, REFUSED["caps"], end_to_end=True)
    assert not trainer.packing and len(losses) == 4


def test_the_held_out_loss_is_a_mean_over_tokens(tmp_path):
    losses, trainer = train(tmp_path, CONFIGS["llama"], end_to_end=True)
    found = trainer.evaluate()
    total, right, count = 0.0, 0, 0
    for row in rows_of(LENGTHS):
        labels = torch.tensor(row["labels"])[1:]
        with torch.no_grad():
            logits = trainer.model(input_ids=torch.tensor(row["input_ids"])[None]).logits[0, :-1]
        total += torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum").item()
        right += int((logits.argmax(-1) == labels).sum())
        count += int((labels != -100).sum())
    assert found["eval_loss"] == pytest.approx(total / count, rel=1e-5)
    assert found["eval_token_accuracy"] == pytest.approx(right / count)


def test_experts_are_kept_in_balance_where_that_is_asked_for_and_the_loss_is_that_of_the_tokens_alone(
    tmp_path,
):
    config = CONFIGS["experts"]
    config.output_router_logits, config.router_aux_loss_coef = True, 0.1
    with_balance, trainer = train(tmp_path, config, split=Split(16, 2))
    assert trainer.aux_loss_enabled
    config.router_aux_loss_coef = 0.0
    without, plain = train(tmp_path, config, split=Split(16, 2))
    config.output_router_logits = False
    assert with_balance[0] == pytest.approx(without[0], rel=1e-6)
    routers = [model.model.layers[0].mlp.gate.weight for model in (trainer.model, plain.model)]
    assert not torch.allclose(*routers, atol=1e-3)
