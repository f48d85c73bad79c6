"""Settings as users of TRL, LLaMA-Factory, Axolotl and Unsloth write them are understood, and what each was taken for
is said; what cannot be followed is refused with what to do instead."""

import pytest
import yaml

from core import presets
from core.cli import main
from core.errors import SpecError
from core.flat import KEYS, KINDS, TOGETHER, To, nested
from core.spec import RunSpec, merge, settings


def translated(text: str) -> tuple[RunSpec, tuple[str, ...]]:
    done = nested(yaml.safe_load(text), "run.yaml")
    return RunSpec.from_dict(done.values), done.remarks


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as refused:
        translated(text)
    return str(refused.value)


def test_a_flat_file_makes_the_settings_it_means_and_says_each():
    spec, said = translated("""
model_name: Qwen/Qwen3-0.6B
dataset: train.jsonl
batch_size: 4
gradient_accumulation_steps: 8
learning_rate: 2e-4
epochs: 2
max_length: 512
peft_enable: true
lora_r: 8
""")
    assert spec.model.base == "Qwen/Qwen3-0.6B" and spec.data.files == ("train.jsonl",)
    assert (spec.train.batch_size, spec.train.learning_rate, spec.train.epochs) == (32, 2e-4, 2)
    assert (spec.train.max_length, spec.method.kind, spec.method.rank) == (512, "lora", 8)
    assert "batch_size: 4 x gradient_accumulation_steps: 8 -> train.batch_size: 32" in said
    assert "lora_r: 8 -> method.rank: 8" in said and "peft_enable: true -> method.kind: lora" in said
    assert len(said) == 8  # one for each key, the two of the batch together


def test_a_file_of_llama_factory():
    spec, said = translated("""
model_name_or_path: meta-llama/Llama-3.2-1B-Instruct
trust_remote_code: false
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 8
lora_target: all
dataset: identity.json,alpaca_en.json
template: llama3
cutoff_len: 2048
overwrite_cache: true
preprocessing_num_workers: 16
output_dir: saves/llama3
logging_steps: 10
save_steps: 500
plot_loss: true
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
val_size: 0.1
""")
    assert spec.data.files == ("identity.json", "alpaca_en.json") and spec.data.held_out_fraction == 0.1
    assert spec.method.target_modules == ("all-linear",) and spec.template.kind == "auto"
    assert (spec.train.batch_size, spec.train.evaluate_every, spec.train.precision) == (8, 500, "bfloat16")
    assert any(line.startswith("output_dir: saves/llama3 -> not used: ") for line in said)


def test_a_file_of_axolotl():
    spec, _ = translated("""
base_model: NousResearch/Llama-3.2-1B
load_in_8bit: false
load_in_4bit: true
adapter: qlora
datasets:
  - path: mine.jsonl
    type: alpaca
val_set_size: 0.05
sequence_len: 2048
sample_packing: true
lora_r: 16
lora_alpha: 32
lora_target_linear: true
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 1
optimizer: adamw_8bit
lr_scheduler: cosine
learning_rate: 0.0002
bf16: auto
gradient_checkpointing: true
flash_attention: true
wandb_project:
warmup_ratio: 0.1
""")
    assert spec.method.kind == "qlora" and spec.data.files == ("mine.jsonl",)
    assert spec.train.optimizer == "adamw_8bit" and spec.train.packing and spec.train.batch_size == 8


@pytest.mark.parametrize(
    "text, kind",
    [
        ("use_peft: false", "full"),
        ("full_finetuning: true", "full"),
        ("lora_r: 4", "lora"),
        ("use_peft: true\nload_in_4bit: true", "qlora"),
        ("quantization_bit: 4", "qlora"),
        ("peft_enable: true\nuse_dora: true", "dora"),
        ("lora_r: 4\nuse_rslora: true", "rslora"),
        ("init_lora_weights: pissa", "pissa"),
        ("finetuning_type: lora\npissa_init: true", "pissa"),
    ],
)
def test_the_method_is_found_in_all_the_keys_that_speak_of_it(text, kind):
    assert translated(text)[0].method.kind == kind


@pytest.mark.parametrize(
    "text, words",
    [
        ("learning_rate: 1e-4\ntrain:\n  learning_rate: 2e-4", "says both train.learning_rate: 2e-4 and learning_rate: 1e-4"),
        ("epochs: 2\nnum_train_epochs: 3", "says both epochs: 2 and num_train_epochs: 3"),
        ("lora-r: 2\nlora_r: 3", "are the same setting"),
        ("batch_size: 4\ntrain:\n  batch_size: 8", "train.batch_size: 4; keep one"),
        ("batch_size: 16\nmicro_batch_size: 2\ngradient_accumulation_steps: 4", "is not micro_batch_size: 2 x"),
        ("use_peft: false\nload_in_4bit: true", "says both use_peft: false and load_in_4bit: true"),
        ("use_dora: true\nload_in_4bit: true", "dora or qlora"),
        ("use_dora: true\nmethod:\n  kind: lora", "method.kind: dora; keep one"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(text, words):
    assert words in refusal(text).replace("qlora or dora", "dora or qlora")


@pytest.mark.parametrize(
    "text, words",
    [
        ("trust_remote_code: true", "code from the Hub is not run"),
        ("load_in_8bit: true", "load_in_4bit"),
        ("neftune_noise_alpha: 5", "it is not done here"),
        ("train_on_inputs: true", "answers alone are learned"),
        ("stage: dpo", "supervised fine-tuning"),
        ("finetuning_type: freeze", "method.kind is full, lora"),
        ("hub_token: hf_x", "HF_TOKEN"),
        ("lr_scheduler_type: polynomial", "cosine, linear or constant"),
        ("optim: lion", "adamw, adamw_8bit or adafactor"),
        ("val_size: 200", "data.held_out_fraction"),
        ("warmup_steps: 100", "train.warmup_fraction"),
        ("resume_from_checkpoint: true", "atelier resume"),
        ("batch_size: many", "whole number"),
        ("label_smoothing_factor: 0.1", "not done"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_what_to_do(text, words):
    said = refusal(text)
    assert words in said and said.startswith("run.yaml: " + text.partition(":")[0])


@pytest.mark.parametrize(
    "key, near",
    [
        ("learning_rat", "'train.learning_rate'"),
        ("lora_rnak", "'lora_rank'"),
        ("batchsize", "'train.batch_size'"),
        ("evaluate_ever", "'train.evaluate_every'"),
    ],
)
def test_an_unknown_key_gets_the_nearest_of_both_kinds(key, near):
    assert f"there is no setting {key!r}. Did you mean {near}?" in refusal(f"{key}: 1")


def test_a_misspelt_section_is_still_the_specs_to_refuse():
    assert "Did you mean 'train'?" in refusal("trian:\n  epochs: 1")


def test_flat_and_nested_keys_may_be_mixed():
    spec, said = translated("lora_r: 4\ntrain:\n  epochs: 5\ntrain.max_length: 64\nlearning_rate: 1e-3")
    assert (spec.method.rank, spec.train.epochs, spec.train.max_length) == (4, 5, 64)
    assert len(said) == 4  # what was nested needs no word


def test_a_number_of_warmup_steps_is_a_share_where_the_steps_are_known():
    spec, said = translated("max_steps: 200\nwarmup_steps: 20")
    assert spec.train.warmup_fraction == 0.1
    assert "warmup_steps: 20 of max_steps: 200 -> train.warmup_fraction: 0.1" in said


def test_who_asks_for_fp16_gets_what_the_processor_has():
    spec, _ = translated("bf16: false\nfp16: true")
    assert spec.train.precision == "auto"
    assert translated("bf16: false")[0].train.precision == "float32"


def test_a_batch_for_each_device_counts_all_of_them():
    spec, _ = translated(
        "per_device_train_batch_size: 4\ngradient_accumulation_steps: 2\ncompute:\n  processes: 2"
    )
    assert spec.train.batch_size == 16
    flat = "per_device_train_batch_size: 4\ngradient_accumulation_steps: 2\nnum_processes: 2"
    assert translated(flat)[0].train.batch_size == 16


def test_all_that_is_unknown_is_named_at_once_and_what_says_nothing_is_passed_over():
    said = refusal("evals_a_day: 4\nmagic: 1\nwandb_mystery:\nr: 8")
    assert "'evals_a_day'" in said and "'magic'" in said and "mystery" not in said
    assert translated("r: 8\nwandb_mystery:")[0].method.rank == 8


def test_a_nested_file_is_left_as_it_is_and_nothing_is_said():
    values = {"train": {"epochs": 2}, "method": {"kind": "lora"}}
    assert nested(values, "run.yaml") == nested(dict(values), "run.yaml")
    assert nested(values, "run.yaml").values is values and nested(values, "run.yaml").remarks == ()


def test_every_key_stands_for_a_setting_that_there_is():
    paths = {rule.path for rule in KEYS.values() if isinstance(rule, To)}
    assert paths - {"data.columns.text"} <= set(settings())
    assert not set(KEYS) & set(TOGETHER) and set(KINDS) <= set(TOGETHER)


def test_the_shell_says_what_was_taken_for_what_and_flags_win(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("dataset: sample:fables-en\nlora_r: 8\nlogging_steps: 5\n")
    arguments = ["data", "check", "--config", str(tmp_path / "run.yaml"), "--no-tokens"]
    assert main([*arguments, "--method.rank", "2"]) == 0
    said = capsys.readouterr().err
    assert "run.yaml: dataset: sample:fables-en -> data.files: sample:fables-en" in said
    assert "run.yaml: logging_steps: 5 -> not used: every step is recorded." in said
    spec = presets.resolve("tiny", tmp_path / "run.yaml", {"method": {"rank": 2}})
    assert spec.method.kind == "lora" and spec.method.rank == 2


def test_a_flat_file_and_its_translation_are_the_same_run(tmp_path):
    (tmp_path / "run.yaml").write_text("lora_r: 8\nbatch_size: 4\n")
    ours = merge({"method": {"kind": "lora", "rank": 8}, "train": {"batch_size": 4}})
    assert presets.resolve("tiny", tmp_path / "run.yaml") == presets.resolve("tiny", overrides=ours)
