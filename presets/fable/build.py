"""Fable, the small base model in this folder, made from a folder of books. Everything that is done to the weights is here.

    python presets/fable/build.py --books BOOKS --out presets/fable --minutes 100

BOOKS is a folder of plain .txt files, one paragraph a line. The shape of the model stands in config.json, its vocabulary
in tokenizer.model, both beside this file. The run keeps OUT/checkpoint.pt, from which `--continue` goes on as if nothing
had happened, and OUT/model.safetensors, the best weights so far by the loss on the book that was kept out of training.
"""

import argparse
import math
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

# Before torch starts its threads: waiting threads sleep instead of spinning. With another process on one of the two
# cores a matrix product of 4096x256x256 took 8.0 ms with spinning threads and 3.2 ms with sleeping ones.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from sentencepiece import SentencePieceProcessor
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).resolve().parent
BOS, EOS = 2, 3


@dataclass(frozen=True)
class Recipe:
    """What is decided before the first step. Common values for models of this size; none was tuned on this one."""

    tokens_per_step: int = 4096  # small steps: a few thousand of them have to do
    window: int = 256  # attention at 512 costs 1.5 times as much a token, at 2,048 almost 3 times
    muon_lr: float = 0.015
    adam_lr: float = 2e-3
    weight_decay: float = 0.05  # shrinks the matrices over about 1 / (0.015 * 0.05) = 1,300 steps
    warmup_steps: int = 100
    decay: float = 0.8  # the share of the run, at its end, in which learning rates fall to zero
    long_rows: float = 0.2  # the share, at the end, in rows of the whole context: positions need to be seen
    clip: float = 1.0
    save_every: int = 50  # steps between checkpoints
    validate_every: int = 200  # steps; the whole kept-out book costs as much as ten steps of training
    seed: int = 0


@dataclass
class Progress:
    """Where a run is: the whole of it that is neither weights nor optimizer state."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    epoch: int = 0
    rows: int = 0  # rows of this epoch that were used already
    window: int = 0
    best_loss: float = math.inf
    tokens_before: int = 0  # seen by the weights that the run started from
    loss_before: tuple[
        float, ...
    ] = ()  # of those weights: in rows of `window` tokens, and of the whole context


# ---- the books


def read_books(
    folder: Path, held_out: str, tokenizer: SentencePieceProcessor
) -> tuple[np.ndarray, np.ndarray, int]:
    """Training tokens, kept-out tokens, and the characters of the kept-out text. Every book is bos, its text, eos."""
    streams: dict[bool, list[int]] = {False: [], True: []}
    characters = 0
    for path in sorted(folder.glob("*.txt")):
        kept_out = path.match(held_out)
        lines = path.read_text(encoding="utf-8").splitlines()
        # Line by line is what the tokenizer would do anyway: it turns a newline into the space that opens a piece.
        text = [token for line in tokenizer.encode(lines) for token in line]
        streams[kept_out] += [BOS, *text, EOS]
        characters += sum(len(line) + 1 for line in lines) if kept_out else 0
    if not streams[False] or not streams[True]:
        raise SystemExit(
            f"{folder} needs .txt files to train on and at least one that matches --held-out {held_out!r}."
        )
    return np.array(streams[False]), np.array(streams[True]), characters


def sentence_starts(tokens: np.ndarray, tokenizer: SentencePieceProcessor) -> np.ndarray:
    """Positions where a sentence begins: after bos, and after a piece that closes one."""
    pieces = [tokenizer.id_to_piece(i) for i in range(tokenizer.vocab_size())]
    closes = np.array([bool(re.search(r"[.!?][\"')]*$", piece)) for piece in pieces])
    closes[BOS] = True
    return np.flatnonzero(closes[tokens[:-1]]) + 1


def epoch_rows(tokens: np.ndarray, starts: np.ndarray, window: int, seed: int, epoch: int) -> np.ndarray:
    """Where the rows of one pass begin, shuffled. A token is read about once a pass, and never twice in the same company.

    Cuts fall every `window` tokens from a random offset and move on to the next sentence, for a row is shown with bos
    before it: that is how every prompt will arrive.
    """
    random = np.random.default_rng((seed, epoch))
    cuts = np.arange(random.integers(window), len(tokens) - window, window)
    after = np.searchsorted(starts, cuts)
    rows = np.unique(starts[after[after < len(starts)]])
    return random.permutation(rows[rows + window <= len(tokens)])


def batches(tokens: np.ndarray, starts: np.ndarray, progress: Progress, recipe: Recipe):
    """Endless (inputs, targets), each (rows, window); moves `progress` along, and can begin anywhere in a pass."""
    rows_per_step = max(1, recipe.tokens_per_step // progress.window)
    while True:
        rows = epoch_rows(tokens, starts, progress.window, recipe.seed, progress.epoch)
        if len(rows) < rows_per_step:
            raise SystemExit(
                f"The books give {len(rows)} rows of {progress.window} tokens; a step needs {rows_per_step}."
            )
        while progress.rows + rows_per_step <= len(rows):
            chosen = rows[progress.rows : progress.rows + rows_per_step]
            targets = tokens[chosen[:, None] + np.arange(progress.window)]
            inputs = np.concatenate([np.full((rows_per_step, 1), BOS), targets[:, :-1]], axis=1)
            progress.rows += rows_per_step
            yield torch.from_numpy(inputs), torch.from_numpy(targets)
        progress.epoch, progress.rows = progress.epoch + 1, 0


# ---- the training


def make_optimizers(model: LlamaForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, AdamW for the embedding (which is also the output layer) and the norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=recipe.muon_lr, momentum=0.95, weight_decay=recipe.weight_decay),
        torch.optim.AdamW(others, lr=recipe.adam_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


def learning_rate_share(step: int, done: float, recipe: Recipe) -> float:
    """Warm up, stay, decay. The middle has no shape, so a run may be given more time, or be called in, at any moment."""
    return min(1.0, (step + 1) / recipe.warmup_steps) * min(1.0, max(0.0, (1 - done) / recipe.decay))


def training_loss(body, head: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean nats a token. Logits exist for 1,024 tokens at a time: all 4,096 would be 134 MB, four times the cache."""
    with torch.autocast(inputs.device.type, torch.bfloat16):
        hidden = body(input_ids=inputs, use_cache=False).last_hidden_state
    in_chunks = torch.nn.LinearCrossEntropyOptions(
        batch_chunk_size=1024, chunking_method=None, acc_policy="balanced"
    )
    return F.linear_cross_entropy(
        hidden.flatten(0, 1).bfloat16(), head.bfloat16(), targets.flatten(), options=in_chunks
    )


@torch.no_grad()
def nats_per_token(model: LlamaForCausalLM, tokens: np.ndarray, window: int, autocast: bool = False) -> float:
    """The loss on a text, its first token (bos) given. Every other token is predicted exactly once.

    Windows overlap by half, so each prediction sees between window / 2 and window tokens, save at the very beginning.
    """
    ids = torch.from_numpy(tokens).to(model.device)
    stride, total = window // 2, 0.0
    for begin in range(0, len(ids) - 1, stride):
        row = ids[max(0, begin + stride - window) : begin + stride + 1]
        new = min(stride, len(ids) - 1 - begin)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=autocast):
            logits = model(row[None, :-1], logits_to_keep=new, use_cache=False).logits[0]  # (new, vocabulary)
        total += F.cross_entropy(logits.float(), row[-new:], reduction="sum").item()
    return total / (len(ids) - 1)


def train(
    model: LlamaForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    progress: Progress,
    recipe: Recipe,
    books: tuple[np.ndarray, np.ndarray],  # training tokens, sentence starts
    kept_out: np.ndarray,
    out: Path,
    minutes: float | None = None,
    max_tokens: int | None = None,
    compiled: bool = True,
) -> list[float]:
    """Train until `minutes` or `max_tokens` (counted over the whole run, not this sitting) are used; the loss of every step.

    Towards the end a row grows to the model's whole context, so that every position was seen before the weights set.
    """
    body = torch.compile(model.model, dynamic=False) if compiled else model.model
    progress.window = progress.window or recipe.window
    feed, losses, shown = batches(*books, progress, recipe), [], ""
    opened, already = time.monotonic(), progress.seconds
    total = max_tokens if minutes is None else minutes * 60
    bar = tqdm(
        total=round(total),
        initial=round(progress.tokens if minutes is None else progress.seconds),
        bar_format="{percentage:3.0f}%|{bar:20}| {elapsed}<{remaining}{postfix}",
        mininterval=1 if os.isatty(2) else 60,
    )
    while True:
        used = progress.tokens if minutes is None else progress.seconds
        if used >= total:
            break
        if used >= total * (1 - recipe.long_rows) and progress.window != model.config.max_position_embeddings:
            progress.window = model.config.max_position_embeddings
            progress.epoch, progress.rows = progress.epoch + 1, 0
            # From here the judge reads long rows too. In the run of the card the best weights before this point had
            # 4.472 nats in short rows and 5.521 in long ones, those at the end 4.485 and 4.757: the better model.
            progress.best_loss = math.inf
            feed = batches(*books, progress, recipe)
        for optimizer, peak in zip(optimizers, (recipe.muon_lr, recipe.adam_lr), strict=True):
            optimizer.param_groups[0]["lr"] = peak * learning_rate_share(progress.step, used / total, recipe)

        began = time.monotonic()
        inputs, targets = (t.to(model.device) for t in next(feed))
        loss = training_loss(body, model.lm_head.weight, inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        progress.step += 1
        progress.tokens += targets.numel()
        trained = time.monotonic()

        if progress.step % recipe.validate_every == 0:
            held_out_loss = nats_per_token(model, kept_out, progress.window, autocast=True)
            recent = float(np.mean(losses[-recipe.validate_every :]))
            tqdm.write(
                f"step {progress.step}: {progress.tokens:,} tokens, {progress.seconds / 60:.1f} minutes, "
                f"loss {recent:.3f}, kept out {held_out_loss:.4f} nats/token"
            )
            shown = f", kept out {held_out_loss:.3f}"
            if held_out_loss < progress.best_loss:
                progress.best_loss = held_out_loss
                save_model(model, out, progress.tokens_before + progress.tokens)
        speed = targets.numel() / (trained - began)
        progress.seconds = already + time.monotonic() - opened
        if progress.step % recipe.save_every == 0:
            save_checkpoint(out / "checkpoint.pt", model, optimizers, progress)
        bar.set_postfix_str(f"loss {np.mean(losses[-20:]):.3f}{shown}, {speed:,.0f} tokens/s", refresh=False)
        bar.update(round(min(total, progress.tokens if minutes is None else progress.seconds)) - bar.n)
    bar.close()
    # The last step has the smallest learning rate and is nearly always the best; the comparison is there for the rest.
    held_out_loss = nats_per_token(model, kept_out, progress.window, autocast=True)
    if held_out_loss < progress.best_loss:
        progress.best_loss = held_out_loss
        save_model(model, out, progress.tokens_before + progress.tokens)
    save_checkpoint(out / "checkpoint.pt", model, optimizers, progress)
    return losses


# ---- what is kept


def replace(path: Path, write) -> None:
    """Write beside, then rename: a half-written file never has the name of a whole one."""
    beside = path.with_name(f".{path.name}.part")
    write(beside)
    os.replace(beside, path)


def save_checkpoint(path: Path, model, optimizers, progress: Progress) -> None:
    """Everything that going on needs: float32 weights, optimizer state, and the place in the data."""
    state = {
        "config": model.config.to_dict(),
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "progress": vars(progress),
    }
    replace(path, lambda beside: torch.save(state, beside))


def save_model(model: LlamaForCausalLM, out: Path, tokens_seen: int) -> None:
    """The folder that transformers opens: bf16 weights, configuration, tokenizer. The tied output layer is not stored."""
    model.config.dtype = "bfloat16"
    model.config.save_pretrained(out)
    model.generation_config.save_pretrained(out)
    replace(
        out / "tokenizer.model", lambda beside: beside.write_bytes((HERE / "tokenizer.model").read_bytes())
    )
    weights = {
        k: v.bfloat16().cpu().contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"
    }
    metadata = {"format": "pt", "tokens_seen": str(tokens_seen)}
    replace(out / "model.safetensors", lambda beside: save_file(weights, beside, metadata))


def load_model(folder: Path) -> tuple[LlamaForCausalLM, int]:
    """A saved model in float32, and the tokens it had seen (0 if the file does not say)."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        tokens_seen = int((file.metadata() or {}).get("tokens_seen", 0))
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32), tokens_seen


def begin(source: Path | None, recipe: Recipe, device: str) -> tuple[LlamaForCausalLM, list, Progress]:
    """Model, optimizers and progress, from nothing, from a model folder, or from a checkpoint."""
    torch.manual_seed(recipe.seed)
    if source is None:
        model = LlamaForCausalLM(LlamaConfig.from_pretrained(HERE, dtype="float32")).to(device)
        return model, make_optimizers(model, recipe), Progress()
    if source.is_dir():
        model, tokens_seen = load_model(source)
        model = model.to(device)
        return model, make_optimizers(model, recipe), Progress(tokens_before=tokens_seen)
    state = torch.load(source, map_location="cpu", weights_only=True)
    model = LlamaForCausalLM(LlamaConfig.from_dict(state["config"])).float().to(device)
    model.load_state_dict(state["model"])
    optimizers = make_optimizers(model, recipe)
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return model, optimizers, Progress(**state["progress"])


# ---- the card


def sample(model: LlamaForCausalLM, tokenizer: SentencePieceProcessor, prompt: str) -> str:
    """A continuation of 80 tokens, the first one drawn: a card that picks its samples says nothing."""
    torch.manual_seed(0)
    ids = torch.tensor([[BOS, *tokenizer.encode(prompt)]], device=model.device)
    written = model.generate(ids, max_new_tokens=80, do_sample=True, temperature=0.8, top_k=50)
    return tokenizer.decode(written[0].tolist())


def figures(
    out: Path,
    tokenizer: SentencePieceProcessor,
    kept_out: np.ndarray,
    characters: int,
    progress: Progress,
    recipe: Recipe,
    training_tokens: int,
) -> str:
    """The measured part of the card, from the weights as they lie in `out`, in float32 arithmetic."""
    model, tokens_seen = load_model(out)
    windows = (recipe.window, model.config.max_position_embeddings)
    losses = [nats_per_token(model, kept_out, window) for window in windows]
    per_token, bits = (len(kept_out) - 1) / characters, 1 / math.log(2)
    lines = [
        f"{tokens_seen / 1e6:.1f} million tokens read, {tokens_seen / training_tokens:.1f} passes over "
        f"{training_tokens / 1e6:.2f} million.",
        f"This run: {progress.tokens / 1e6:.1f} million of them in {progress.step:,} steps, "
        f"{progress.seconds / 60:.0f} minutes on {hardware()}.",
        "",
        "| on the kept-out book | nats a token | perplexity of a token | bits a character |",
        "|---|---|---|---|",
    ]
    for name, values in (("before this run", progress.loss_before), ("now", losses)):
        for window, loss in zip(windows, values, strict=False):
            lines.append(
                f"| {name}, rows of {window:,} tokens | {loss:.3f} | {math.exp(loss):.1f} | {loss * per_token * bits:.3f} |"
            )
    lines += ["", "Samples, the first draw of each (temperature 0.8, top-k 50); the prompt is in bold:", ""]
    for prompt in (
        "Once upon a time there was a king who",
        '"Where are you going?" asked the',
        "The little dog",
    ):
        lines += [f"> **{prompt}**{sample(model, tokenizer, prompt).removeprefix(prompt)}", ""]
    return "\n".join(lines)


def hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} threads of a processor, no graphics card"


def write_card(out: Path, measured: str) -> None:
    """Put the figures into the card in `out` (begun as a copy of ours), between its two markers."""
    card = out / "README.md" if (out / "README.md").is_file() else HERE / "README.md"
    before, marker, rest = card.read_text(encoding="utf-8").partition("<!-- measured -->")
    _, end, after = rest.partition("<!-- /measured -->")
    text = f"{before}{marker}\n{measured}\n{end}{after}"
    replace(out / "README.md", lambda beside: beside.write_text(text, encoding="utf-8"))


# ---- the command


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--books", type=Path, required=True, help="a folder of .txt files, one paragraph a line"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="where the model, its card and the checkpoint go"
    )
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="length of the whole run, by the clock")
    budget.add_argument("--tokens", type=int, help="length of the whole run, in tokens read")
    parser.add_argument(
        "--continue",
        dest="source",
        type=Path,
        help="a checkpoint.pt (the same run goes on) or a model folder (a new run)",
    )
    parser.add_argument("--held-out", default="Peter-Pan*", help="the books to measure on, never trained on")
    parser.add_argument("--threads", type=int, help="processor threads")
    return parser.parse_args()


def main() -> None:
    options, recipe = arguments(), Recipe()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = SentencePieceProcessor(model_file=str(HERE / "tokenizer.model"))
    tokens, kept_out, characters = read_books(options.books, options.held_out, tokenizer)
    options.out.mkdir(parents=True, exist_ok=True)
    model, optimizers, progress = begin(options.source, recipe, device)
    windows = (recipe.window, model.config.max_position_embeddings)
    if progress.tokens_before and not progress.loss_before:
        progress.loss_before = tuple(nats_per_token(model, kept_out, window) for window in windows)
        print("kept out, before:", progress.loss_before)
    books = (tokens, sentence_starts(tokens, tokenizer))
    train(model, optimizers, progress, recipe, books, kept_out, options.out, options.minutes, options.tokens)
    write_card(
        options.out, figures(options.out, tokenizer, kept_out, characters, progress, recipe, len(tokens))
    )


if __name__ == "__main__":
    main()
