"""Many answers, batch by batch, decoded in the same way for every model."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import (
    DynamicCache,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    StoppingCriteria,
)

from core.evaluate.batches import (
    Progress,
    beginning,
    by_length,
    for_rows,
    shared_beginning,
    takes_plain_steps,
    tokens_that_fit,
)
from core.evaluate.report import Answer

BATCH_ROWS = 64  # fable on one thread: 16 rows 450 tokens a second, 64 rows 650
LEAVE_AT = 0.75  # share of a batch still at work from which finished rows are taken out of it
TAIL = 24  # tokens at the end of an answer that are looked at for a text that ends it


@dataclass(frozen=True)
class Ending:
    """What ends an answer: a token, a text, or its length in tokens."""

    stop_ids: Sequence[int]
    max_new_tokens: int
    texts: Sequence[str] = ()


@torch.no_grad()  # and not inference_mode: a model in training keeps what it computes here, and goes on with it
def answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[Sequence[int]],
    stop_ids: Sequence[int],
    max_new_tokens: int,
    progress: Progress = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
    stop_texts: Sequence[str] = (),
) -> list[Answer] | None:
    """Greedy answers to encoded prompts, in their order; None if it was stopped, at the latest a token later.

    A prompt that leaves less room in the model's context gets a shorter answer. One that leaves none is the caller's
    mistake: see `room`. An answer ends before the first of `stop_texts`.
    """
    most = [min(max_new_tokens, room(model, prompt)) for prompt in prompts]
    found: dict[int, Answer] = {}
    is_plain = takes_plain_steps(model)
    shared = shared_beginning(prompts) if is_plain else ()
    with beginning(model, shared) as begun:
        # Prompts are kept apart by how long their answers can be: one that is short of room must not cut the others'.
        for length in sorted(set(most)):
            group = [row for row in range(len(prompts)) if most[row] == length]
            lengths = [len(prompts[row]) + length for row in group]
            for batch in by_length(lengths, BATCH_ROWS, tokens_that_fit(model)):
                rows = [group[place] for place in batch]
                asked = [prompts[row][len(shared) :] for row in rows]
                ending = Ending(stop_ids, length, stop_texts)
                if is_plain:
                    answers = _decode(model, tokenizer, begun, asked, ending, should_stop)
                else:
                    answers = _generate(model, asked, ending, should_stop)
                if should_stop():
                    return None
                found |= zip(rows, (_as_answer(tokenizer, ids, ending) for ids in answers), strict=True)
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


def _decode(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    begun: DynamicCache,
    prompts: Sequence[Sequence[int]],
    ending: Ending,
    should_stop: Callable[[], bool],
) -> list[list[int]]:
    """The new tokens of each row, the one that ends it among them. Rows that are finished leave the batch.

    `begun` is what the model keeps of the beginning that all prompts have in common.
    """
    said: list[list[int]] = [[] for _ in prompts]
    cache = for_rows(begun, len(prompts))
    ids, there = _padded(prompts, model.device)
    there = torch.cat([there.new_ones(len(prompts), begun.get_seq_length()), there], dim=1)
    positions = (there.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    rows = list(range(len(prompts)))  # of the batch as it is now
    working = set(rows)
    for _ in range(ending.max_new_tokens):
        logits = model(
            input_ids=ids,
            attention_mask=there,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        chosen = logits[:, -1].argmax(-1)  # (rows,)
        for row, token in zip(rows, chosen.tolist(), strict=True):
            if row in working:
                said[row].append(token)
                if token in ending.stop_ids or _says_the_end(tokenizer, said[row], ending.texts):
                    working.discard(row)
        if not working or should_stop():
            break
        if len(working) <= LEAVE_AT * len(rows):
            kept = [place for place, row in enumerate(rows) if row in working]
            rows = [rows[place] for place in kept]
            places = torch.tensor(kept, device=model.device)
            cache.batch_select_indices(places)
            there, positions, chosen = there[places], positions[places], chosen[places]
        ids = chosen[:, None]
        there = torch.cat([there, there.new_ones(len(rows), 1)], dim=1)
        positions = positions[:, -1:] + 1
    return said


def _says_the_end(tokenizer: PreTrainedTokenizerFast, ids: list[int], texts: Sequence[str]) -> bool:
    return bool(texts) and any(text in decode(tokenizer, ids[-TAIL:]) for text in texts)


def _padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, padded on the left, so that every row's next token stands in the last column."""
    longest = max(map(len, prompts))
    ids = [[*[0] * (longest - len(prompt)), *prompt] for prompt in prompts]
    there = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(there, device=device)


def _generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    ending: Ending,
    should_stop: Callable[[], bool],
) -> list[list[int]]:
    """The same by transformers, for every architecture; with whatever follows the first stop."""
    ids, there = _padded(prompts, model.device)
    settings = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=ending.max_new_tokens,
        eos_token_id=list(ending.stop_ids),
        pad_token_id=ending.stop_ids[0],  # what follows the end of a row; cut off with it
    )
    with plainly(model):
        output = model.generate(
            input_ids=ids,
            attention_mask=there,
            generation_config=settings,
            stopping_criteria=[StopWhen(should_stop)],
        )
    return output[:, ids.shape[1] :].tolist()


def _as_answer(tokenizer: PreTrainedTokenizerFast, ids: list[int], ending: Ending) -> Answer:
    end = next((place for place, token in enumerate(ids) if token in ending.stop_ids), None)
    said = ids[:end]
    text = decode(tokenizer, said)
    ends = [text.index(stop) for stop in ending.texts if stop in text]
    ended = "length" if end is None and not ends else "turn"
    return Answer(text[: min(ends, default=None)], len(said), ended)
