"""The act `merge`: the whole tuned model as one folder that anybody can load, checked before it is called done."""

import shutil

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from core.data.examples import Message
from core.errors import TrainError
from core.publish.card import write_card
from core.runs.events import Staged
from core.runs.store import Run
from core.train.model import open_pair, stored_dtype

TOLERANCE = 1e-4  # of the largest logit, in float32: merging changes the order of additions, nothing else


def merge(run: Run) -> str:
    """Write `merged/` in the base's own precision; TrainError if it does not answer as the tuned model does."""
    run.events.append(Staged(stage="Merging"))
    spec = run.spec
    # On the processor, so that it can be done beside a training on the GPU.
    pair = open_pair(run, torch.float32, torch.device("cpu"), quantized=False)
    text = pair.text
    probe = torch.tensor(
        [text.template.prompt_ids([Message("user", "Who are you?")], text.tokenizer)], device=pair.device
    )
    with pair.side("tuned") as model:
        before = _logits(model, probe)
        merged = model.merge_and_unload() if hasattr(model, "peft_config") else model
    difference = (_logits(merged, probe) - before).abs().max().item()
    if difference > TOLERANCE * max(1.0, before.abs().max().item()):
        raise TrainError(
            f"The merged model differs from the adapter by {difference:.2g} in a logit; nothing was written."
        )

    own = stored_dtype(spec)
    beside = run.folder / ".merged"
    shutil.rmtree(beside, ignore_errors=True)
    merged.to(own).save_pretrained(beside)
    for name in ("generation_config.json", "chat_template.jinja"):
        if (run.final / name).is_file():
            shutil.copyfile(run.final / name, beside / name)
    text.tokenizer.save_pretrained(beside)
    run.events.append(Staged(stage="Opening what was written"))
    again = AutoModelForCausalLM.from_pretrained(beside, dtype=own).state_dict()
    if different := [
        name for name, weight in merged.state_dict().items() if not torch.equal(again[name], weight.cpu())
    ]:
        raise TrainError(
            f"What was written to {beside} differs from the model in {different[0]}; nothing is published."
        )
    write_card(run, beside, what="merged")
    shutil.rmtree(run.folder / "merged", ignore_errors=True)
    beside.rename(run.folder / "merged")
    return "merged"


@torch.no_grad()
def _logits(model: PreTrainedModel, probe: torch.Tensor) -> torch.Tensor:
    return model(input_ids=probe).logits.float()  # (1, tokens, vocabulary)
