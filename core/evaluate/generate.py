"""Many answers, batch by batch, decoded in the same way for every model."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast, StoppingCriteria

from core.evaluate.batches import Progress, by_length
from core.evaluate.report import Answer

BATCH_ROWS = 16
BATCH_TOKENS = 8192  # of question and answer, padding counted: what the batch's cache must hold


@torch.no_grad()  # and not inference_mode: a model in training keeps what it computes here, and goes on with it
def answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[Sequence[int]],
    stop_ids: Sequence[int],
    max_new_tokens: int,
    progress: Progress = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Answer] | None:
    """Greedy answers to encoded prompts, in their order; None if it was stopped, at the latest a token later.

    A prompt that leaves less room in the model's context gets a shorter answer. One that leaves none is the caller's
    mistake: see `room`.
    """
    most = [min(max_new_tokens, room(model, prompt)) for prompt in prompts]
    found: dict[int, Answer] = {}
    # Prompts are kept apart by how long their answers can be: one that is short of room must not cut the others'.
    for length in sorted(set(most)):
        group = [row for row in range(len(prompts)) if most[row] == length]
        for batch in by_length([len(prompts[row]) + length for row in group], BATCH_ROWS, BATCH_TOKENS):
            rows = [group[place] for place in batch]
            answers = _generate(model, [prompts[row] for row in rows], stop_ids, length, should_stop)
            if should_stop():
                return None
            found |= zip(rows, (_as_answer(tokenizer, ids, stop_ids) for ids in answers), strict=True)
            progress(len(found), len(prompts))
    return [found[row] for row in range(len(prompts))]


def room(model: PreTrainedModel, prompt: Sequence[int]) -> int:
    """How many tokens an answer to this prompt can have within the model's context; zero or less if none."""
    context = context_length(model)
    return context - len(prompt) if context else 2**31


def context_length(model: PreTrainedModel) -> int | None:
    """The tokens that the model can see at once; None if its architecture has no such bound."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def decode(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    """The text of an answer's tokens, special ones left out and spaces as they are."""
    return tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


@contextmanager
def plainly(model: PreTrainedModel) -> Iterator[None]:
    """Within, the model generates as it is told and in no other way.

    transformers fills what a generation config leaves open from the model's own: a repetition penalty that the base's
    authors recommend would make "greedy" mean something else for every base.
    """
    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


class StopWhen(StoppingCriteria):
    """Ends the generation after the token under way."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self.condition = condition

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_) -> torch.Tensor:
        return torch.full((len(input_ids),), self.condition(), device=input_ids.device)


def _generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    stop_ids: Sequence[int],
    max_new_tokens: int,
    should_stop: Callable[[], bool],
) -> list[list[int]]:
    """The new tokens of each row, with whatever follows the first stop."""
    longest = max(map(len, prompts))
    # Padded on the left, so that every row's next token stands in the last column.
    ids = torch.tensor([[*[0] * (longest - len(prompt)), *prompt] for prompt in prompts], device=model.device)
    there = torch.tensor(
        [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=model.device
    )
    settings = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        eos_token_id=list(stop_ids),
        pad_token_id=stop_ids[0],  # what follows the end of a row; cut off with it
    )
    with plainly(model):
        output = model.generate(
            input_ids=ids,
            attention_mask=there,
            generation_config=settings,
            stopping_criteria=[StopWhen(should_stop)],
        )
    return output[:, longest:].tolist()


def _as_answer(tokenizer: PreTrainedTokenizerFast, ids: list[int], stop_ids: Sequence[int]) -> Answer:
    end = next((place for place, token in enumerate(ids) if token in stop_ids), None)
    said = ids[:end]
    return Answer(decode(tokenizer, said), len(said), "length" if end is None else "turn")
