"""presets/fable/build.py makes the embedded base model, stops anywhere, and goes on."""

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

SCRIPT = Path(__file__).parents[2] / "presets" / "fable" / "build.py"
TINY = LlamaConfig(
    vocab_size=8192,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=1,
    max_position_embeddings=128,
    tie_word_embeddings=True,
    pad_token_id=0,
    bos_token_id=2,
    eos_token_id=3,
)


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("fable_build", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fable_build"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def books(tmp_path):
    """Two little books: Small-Book to learn from, Other-Book to measure on."""
    folder = tmp_path / "books"
    folder.mkdir()
    draw = random.Random(0)
    words = ["the", "fox", "king", "crow", "found", "gave", "lost", "an", "old", "red", "cheese", "forest"]
    for name, paragraphs in (("Small-Book", 150), ("Other-Book", 12)):
        lines = (" ".join(draw.choices(words, k=40)).capitalize() + "." for _ in range(paragraphs))
        (folder / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def reading(build, books):
    tokenizer = build.SentencePieceProcessor(model_file=str(SCRIPT.parent / "tokenizer.model"))
    tokens, kept_out, _ = build.read_books(books, "Other*", tokenizer)
    return tokens, build.sentence_starts(tokens, tokenizer), kept_out


@pytest.fixture
def learn(build, reading, tmp_path):
    """Train a tiny model for ten steps in `tmp_path/NAME`, from nothing or from the checkpoint that lies there."""
    tokens, starts, kept_out = reading
    recipe = build.Recipe(
        tokens_per_step=256, window=64, warmup_steps=2, save_every=4, validate_every=5, long_rows=0.3
    )

    def run(name: str):
        out = tmp_path / name
        if (out / "checkpoint.pt").is_file():
            model, optimizers, progress = build.begin(out / "checkpoint.pt", recipe, "cpu")
        else:
            out.mkdir()
            torch.manual_seed(0)
            model, progress = LlamaForCausalLM(TINY), build.Progress()
            optimizers = build.make_optimizers(model, recipe)
        losses = build.train(
            model,
            optimizers,
            progress,
            recipe,
            (tokens, starts),
            kept_out,
            out,
            max_tokens=2560,
            compiled=False,
        )
        return model, progress, losses

    return run


def test_the_loss_falls_and_the_best_weights_are_saved_as_the_kept_out_book_judges(
    build, learn, reading, tmp_path
):
    model, progress, losses = learn("run")
    assert losses[-1] < losses[0] - 0.5
    saved, tokens_seen = build.load_model(tmp_path / "run")
    assert tokens_seen == progress.tokens == 2560
    for name, weight in model.state_dict().items():  # here the last weights were the best ones
        assert torch.equal(saved.state_dict()[name], weight.bfloat16().float()), name
    # 0.01: the file holds bf16, the loss was taken from float32 weights.
    assert build.nats_per_token(saved, reading[2], window=progress.window) == pytest.approx(
        progress.best_loss, abs=0.01
    )


def test_a_run_that_was_cut_off_goes_on_to_the_same_weights(build, learn, monkeypatch):
    straight, _, straight_losses = learn("straight")

    calls, whole = [], build.training_loss

    def cut_off(*given):
        calls.append(given)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return whole(*given)

    monkeypatch.setattr(build, "training_loss", cut_off)
    with pytest.raises(KeyboardInterrupt):
        learn("cut")
    monkeypatch.undo()
    resumed, progress, losses = learn("cut")

    assert progress.step == 10
    assert losses == straight_losses[4:]  # the checkpoint was made after step 4
    for name, weight in straight.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_a_pass_reads_nearly_every_token_once_in_rows_that_begin_at_a_sentence(build, reading):
    tokens, starts, _ = reading
    rows = build.epoch_rows(tokens, starts, window=64, seed=0, epoch=0)
    assert set(rows) <= set(starts)
    assert len(rows) * 64 == pytest.approx(len(tokens), rel=0.1)
    assert sorted(rows) != sorted(build.epoch_rows(tokens, starts, window=64, seed=0, epoch=1))


def test_the_loss_on_a_book_does_not_depend_on_the_row_length_of_a_model_that_sees_nothing(build):
    """With all weights zero every token costs log(8192): each is counted once, whatever the windows."""
    model = LlamaForCausalLM(TINY)
    for weight in model.parameters():
        torch.nn.init.zeros_(weight)
    book = np.arange(2, 503)
    for window in (16, 64, 128):
        assert build.nats_per_token(model, book, window) == pytest.approx(np.log(8192), rel=1e-5)


def test_it_runs_as_a_plain_script_and_leaves_a_model_that_opens_and_a_card_with_figures(books, tmp_path):
    LlamaForCausalLM(TINY).save_pretrained(tmp_path / "tiny")
    command = [sys.executable, SCRIPT, "--books", books, "--out", tmp_path / "out", "--tokens", "8192"]
    command += ["--continue", tmp_path / "tiny", "--held-out", "Other*", "--threads", "1"]
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, "TORCHDYNAMO_DISABLE": "1"},  # compiling would take longer than the run
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert opened.dtype == torch.bfloat16
    assert opened.config.hidden_size == 32
    assert (tmp_path / "out" / "tokenizer.model").is_file()
    assert "| now, rows of 128 tokens |" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
