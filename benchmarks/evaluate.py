"""Answers and scores of the evaluation against a plain loop, one row after the other, in one run.

    python benchmarks/evaluate.py                       # fable and a random Llama of 20M parameters, about two minutes
    python benchmarks/evaluate.py --model OWNER/NAME --rows 32 --json

The loop is `model.generate`, greedy, and a forward pass with all its logits: what a script does. Both sides get the same
prompts, stop tokens, precision and threads, and whether they say the same is counted: in a padded batch sums are made in
another order, so that of two tokens that are nearly as likely the other one may win, in bfloat16 more often.
A chance to end at each token is added to all logits of both sides (--ends), so that answers have different lengths as
those of a trained model have; without it a base would never stop. `few-shot` is the same with solved examples before
each question, which all prompts share.
"""

import argparse
import gc
import json
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
SHAPES = {
    # 20M parameters
    "random-20m": {"vocab_size": 32000, "hidden_size": 320, "intermediate_size": 864, "num_hidden_layers": 8,
                   "num_attention_heads": 8, "num_key_value_heads": 4, "tie_word_embeddings": True},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", action="append", help="fable, random-20m, a folder, or a model on the Hub")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--max-new-tokens", type=int, default=48)
    parser.add_argument(
        "--ends", type=float, default=24, help="mean tokens of an answer; 0: as the model ends them"
    )
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args()
    import torch

    if given.threads:
        torch.set_num_threads(given.threads)
    found = []
    for name in given.model or ["fable", "random-20m"]:
        for kind in ("answers", "few-shot", "likelihoods"):
            found.append(measured(name, kind, given))
            if not given.json:
                print_row(found[-1], heading=len(found) == 1)
    print(json.dumps({"threads": torch.get_num_threads(), "dtype": given.dtype, "measured": found}))


def measured(name: str, kind: str, given: argparse.Namespace) -> dict:
    """Seconds of both sides on the same rows, and what they made."""
    import torch

    model, text = opened(name, given.dtype)
    prompts = prompts_of(text, given.rows, shots=8 if kind == "few-shot" else 0)
    gc.collect()
    with torch.inference_mode(), ending(model, text.stop_ids, given.ends):
        sides = LIKELIHOODS if kind == "likelihoods" else ANSWERS
        times, said = {}, {}
        for side, work in sides.items():
            work(model, text, prompts[:2], 4)  # not measured
            began = time.perf_counter()
            said[side] = work(model, text, prompts, given.max_new_tokens)
            times[side] = time.perf_counter() - began
    tokens = {side: sum(each[1] for each in rows) for side, rows in said.items()}
    same = sum(one[0] == other[0] for one, other in zip(said["loop"], said["ours"], strict=True))
    return {
        "model": name,
        "kind": kind,
        "rows": len(prompts),
        "same": same,
        "times_faster": round(times["loop"] / times["ours"], 2),
        **{f"{side}_seconds": round(times[side], 3) for side in times},
        **{f"{side}_rows_per_second": round(len(prompts) / times[side], 2) for side in times},
        **{f"{side}_tokens_per_second": round(tokens[side] / times[side], 1) for side in times},
    }


def opened(name: str, dtype: str):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from core.spec import RunSpec
    from core.text.load import load_text
    from core.train.model import load_base

    kind = getattr(torch, dtype)
    if name not in SHAPES:
        spec = RunSpec.from_dict({"model": {"base": name}})
        text = load_text(spec)
        return load_base(spec, text, kind).eval(), text
    torch.manual_seed(0)
    config = LlamaConfig(**SHAPES[name], max_position_embeddings=2048, initializer_range=0.1)
    return LlamaForCausalLM(config).to(kind).eval(), load_text(RunSpec())


def prompts_of(text, rows: int, shots: int) -> list[list[int]]:
    from core.data.examples import Message

    file = ROOT / "presets" / "samples" / "fables-en.jsonl"
    asked = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    solved = [
        turn
        for each in asked[:shots]
        for turn in (Message("user", each["question"]), Message("assistant", each["answer"]))
    ]
    step = max(1, (len(asked) - shots) // rows)
    chosen = asked[shots::step][:rows]
    return [
        text.template.prompt_ids([*solved, Message("user", each["question"])], text.tokenizer)
        for each in chosen
    ]


@contextmanager
def ending(model, stop_ids, mean: float):
    """Within, an answer ends after a token that is its end by this rule: the same for the same tokens, whoever asks."""
    if not mean:
        yield
        return
    last: list = []

    def hear(_, arguments, given):
        last[:] = [given["input_ids"][:, -1]]

    def say(_, __, output):
        import torch

        # A hash of the last token and nothing else decides, so that padding and batch do not.
        ends = (last[0] * 2654435761 % 1000) < 1000 / mean
        logits = output.logits
        if logits.shape[0] == len(ends):
            logits[:, -1, stop_ids[0]] = torch.where(
                ends, torch.finfo(logits.dtype).max / 2, logits[:, -1, stop_ids[0]]
            )
        return output

    hooks = [
        model.register_forward_pre_hook(hear, with_kwargs=True),
        model.register_forward_hook(say),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def ours_answers(model, text, prompts, most):
    from core.evaluate.generate import answer

    return [(each.text, each.tokens) for each in answer(model, text.tokenizer, prompts, text.stop_ids, most)]


def loop_answers(model, text, prompts, most):
    import torch
    from transformers import GenerationConfig

    from core.evaluate.generate import decode

    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        settings = GenerationConfig(
            do_sample=False,
            max_new_tokens=most,
            eos_token_id=list(text.stop_ids),
            pad_token_id=text.stop_ids[0],
        )
        said = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)[
            0, len(prompt) :
        ].tolist()
        said = said[:-1] if said[-1] in text.stop_ids else said
        found.append((decode(text.tokenizer, said), len(said)))
    return found


def ours_likelihoods(model, text, prompts, most):
    from core.evaluate.likelihood import likelihoods
    from core.text.encode import Encoded

    rows = [Encoded(ids, [place > len(ids) // 2 for place in range(len(ids))], None) for ids in prompts]
    return [
        (round(each.nll, 2), len(ids)) for each, ids in zip(likelihoods(model, rows), prompts, strict=True)
    ]


def loop_likelihoods(model, text, prompts, most):
    import torch

    found = []
    for ids in prompts:
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()
        half = len(ids) // 2
        logs = logits[half:-1].log_softmax(-1)
        chosen = logs.gather(1, torch.tensor(ids[half + 1 :])[:, None])
        found.append((round(-float(chosen.double().sum()), 2), len(ids)))
    return found


ANSWERS = {"loop": loop_answers, "ours": ours_answers}
LIKELIHOODS = {"loop": loop_likelihoods, "ours": ours_likelihoods}


def print_row(row: dict, heading: bool) -> None:
    if heading:
        print(f"{'':26}{'rows a second':>18}{'tokens a second':>20}{'faster':>9}{'the same':>12}")
        print(f"{'':26}{'loop':>9}{'ours':>9}{'loop':>10}{'ours':>10}")
    print(
        f"{row['model'][:12] + ' ' + row['kind']:26}{row['loop_rows_per_second']:9.1f}{row['ours_rows_per_second']:9.1f}"
        f"{row['loop_tokens_per_second']:10.0f}{row['ours_tokens_per_second']:10.0f}"
        f"{row['times_faster']:8.1f}x{row['same']:>7} of {row['rows']}",
        flush=True,
    )


if __name__ == "__main__":
    main()
