"""The act `merge`: the whole tuned model as one folder that anybody can load, compared before it is called done."""

import shutil
import time
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from core.errors import PublishError
from core.publish import parity
from core.publish.card import write_card
from core.publish.parity import MERGED, MERGED_BOUND, Checked, Voice, listen
from core.runs.events import Noted, Staged
from core.runs.store import Run
from core.text.load import Text
from core.train import disk
from core.train.model import ROOM, base_parameters, free_memory, open_pair, stored_dtype

PROCESSOR = torch.device("cpu")  # so that it can be done beside a training on the GPU
EXACT = 1e-4  # noise of merging itself, in float32: it changes the order of additions, nothing else
OF_EXPERTS = (
    4  # times the bound: a rounded router now and then chooses another expert (5.5 % seen, random weights)
)
COARSE = 0.1  # the same where there is only memory for 16 bits, in which every product is rounded too


def merge(run: Run) -> str:
    """Write `merged/` in the base's own precision, beside and renamed; PublishError if it does not answer as the tuned
    model does. The adapter of a qlora run is merged on the base as it was published, never on one in 4 bits."""
    run.events.append(Staged(stage="Merging"))
    began, spec = time.monotonic(), run.spec
    own, parameters = stored_dtype(spec), base_parameters(spec)
    disk.check_room(run.folder, parameters * own.itemsize, 0, "The merged weights")
    working = torch.float32 if parameters * 4 * ROOM < free_memory(PROCESSOR) else own
    pair = open_pair(run, working, PROCESSOR, quantized=False)
    text = pair.text
    with pair.side("tuned") as model:
        before = listen(model, text)
        merged = without_adapter(model)
    _check_merging(before, merged, text, working)
    beside = run.folder / ".merged"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        run.events.append(Staged(stage="Writing the merged model"))
        _write(run, merged.to(own), text, beside)
        run.events.append(Staged(stage="Opening what was written"))
        again = _opened(beside, merged, own, text)
        del merged, model, pair
        checked = _compared(again.to(working), text, before, beside, own)
        checked = replace(checked, seconds=time.monotonic() - began)
        if not checked.passed:
            raise PublishError(checked.mismatch)
        write_card(run, beside, what="merged")
        disk.synced(beside)
        disk.place(beside, run.folder / MERGED)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    parity.record(run, checked)
    run.events.append(Noted(text=parity.as_text(checked)))
    return MERGED


@torch.no_grad()
def without_adapter(model: PreTrainedModel) -> PreTrainedModel:
    """The model with its adapter, if it has one, added to its weights: each sum is made in float32, and rounded once."""
    if not hasattr(model, "peft_config"):
        return model
    from peft.tuners.tuners_utils import BaseTunerLayer

    for layer in model.modules():
        if isinstance(layer, BaseTunerLayer) and not isinstance(layer.get_base_layer(), BaseTunerLayer):
            held = [(weight, weight.dtype) for weight in layer.get_base_layer().parameters(recurse=False)]
            for weight, _ in held:
                weight.data = weight.data.float()
            layer.merge()
            for weight, dtype in held:
                weight.data = weight.data.to(dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All adapters are already merged")
        return model.merge_and_unload()


def _check_merging(before: Voice, merged: PreTrainedModel, text: Text, working: torch.dtype) -> None:
    bound = EXACT if working == torch.float32 else COARSE
    if not (noise := parity.noise(before.logits, parity.logits_of(merged, text))) <= bound:
        raise PublishError(
            f"The merged model's logits differ from the adapter's by {noise:.2%}, where {bound:.2%} can be explained by "
            "rounding; nothing was written."
        )


def _write(run: Run, merged: PreTrainedModel, text: Text, beside: Path) -> None:
    """Weights, tokenizer, chat template, and the generation config with the tokens that end an answer."""
    merged.generation_config = GenerationConfig.from_pretrained(run.final)
    merged.config.eos_token_id, merged.config.pad_token_id = (
        text.tokenizer.eos_token_id,
        text.tokenizer.pad_token_id,
    )
    merged.config.use_cache = True  # which training to save memory turned off
    merged.save_pretrained(beside)
    text.tokenizer.save_pretrained(beside)


def _opened(beside: Path, merged: PreTrainedModel, own: torch.dtype, text: Text) -> PreTrainedModel:
    """The model as it lies there; PublishError if a weight is another, or its answers would not end."""
    again = AutoModelForCausalLM.from_pretrained(beside, dtype=own)
    found = again.state_dict()
    if different := [
        name for name, weight in merged.state_dict().items() if not torch.equal(found[name], weight.cpu())
    ]:
        raise PublishError(
            f"What was written to {beside} differs from the model in {different[0]}; nothing is published."
        )
    ends = again.generation_config.eos_token_id
    if set(text.stop_ids) != set(ends if isinstance(ends, list) else [ends]):
        raise PublishError(
            f"The merged model's answers would end with the tokens {ends}, and it was taught to end them with "
            f"{list(text.stop_ids)}; nothing is published."
        )
    return again.eval()


def _compared(model: PreTrainedModel, text: Text, before: Voice, folder: Path, own: torch.dtype) -> Checked:
    count, skipped = parity.compare_ids(text, parity.folder_reads(folder, text), "The merged folder")
    chooses = getattr(model.config.get_text_config(), "num_experts_per_tok", None)
    got, bound = listen(model, text), MERGED_BOUND[_name(own)] * (OF_EXPERTS if chooses else 1)
    noise = parity.noise(before.logits, got.logits)
    passed = noise <= bound
    why = (
        f"The merged folder's logits differ from the tuned model's by {noise:.2%}, and its precision explains "
        f"{bound:.2%}; it is not kept."
    )
    return Checked(
        format=MERGED, file=MERGED, sha256=parity.digest(folder), passed=passed, conversations=count, noise=noise,
        bound=bound, answers=parity.side_by_side(before, got), skipped=skipped, mismatch="" if passed else why,
    )  # fmt: skip


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
