import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from core.evaluate import generate
from core.evaluate.batches import by_length, shared_beginning, takes_plain_steps, tokens_that_fit
from core.evaluate.generate import answer, room
from tests.evaluate.making import VOCABULARY, model_of, with_adapter

PROMPTS = [[3 + (7 * row + 5 * place) % 90 for place in range(2 + 3 * row)] for row in range(7)]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Every token is its own number, and a space."""
    vocabulary = {f"{number} ": number for number in range(VOCABULARY)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="0 ")))


@torch.no_grad()
def alone(model, prompt: list[int], most: int, stops: tuple[int, ...]) -> tuple[list[int], str]:
    """The likeliest token, again and again, without batch, padding or cache."""
    said = []
    while len(said) < most:
        token = int(model(input_ids=torch.tensor([prompt + said])).logits[0, -1].argmax())
        if token in stops:
            return said, "turn"
        said.append(token)
    return said, "length"


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


@pytest.mark.parametrize(
    "shape", ["llama", "qwen", "gpt2", "gemma"]
)  # gemma's layers slide: transformers decodes
def test_answers_of_a_batch_are_those_of_each_prompt_alone_in_the_asked_order(shape, tokenizer):
    model = model_of(shape)
    # Whatever tokens this model likes to say: two of them are made the ones that end a turn.
    stops = (alone(model, PROMPTS[0], 4, ())[0][3], alone(model, PROMPTS[4], 6, ())[0][5])
    found = answer(model, tokenizer, PROMPTS, stops, max_new_tokens=12)
    wanted = [alone(model, prompt, 12, stops) for prompt in PROMPTS]
    assert [(numbers(each.text), each.ended) for each in found] == wanted
    assert [each.tokens for each in found] == [len(said) for said, _ in wanted]
    assert "turn" in {each.ended for each in found}


def test_an_adapter_answers_on_and_off(tokenizer):
    tuned = with_adapter(model_of("llama tied"))
    wanted = [alone(tuned, prompt, 8, (2,))[0] for prompt in PROMPTS]
    assert [numbers(each.text) for each in answer(tuned, tokenizer, PROMPTS, (2,), 8)] == wanted
    with tuned.disable_adapter():
        base = [numbers(each.text) for each in answer(tuned, tokenizer, PROMPTS, (2,), 8)]
    assert base == [alone(model_of("llama tied"), prompt, 8, (2,))[0] for prompt in PROMPTS] != wanted


@pytest.mark.parametrize("wrap", [lambda model: model, with_adapter])
def test_greedy_is_greedy_whatever_the_model_recommends(wrap, tokenizer):
    model = wrap(model_of("llama"))
    wanted = answer(model, tokenizer, PROMPTS, (2,), 12)
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    inner.generation_config.update(
        repetition_penalty=5.0, suppress_tokens=list(range(3, 60)), do_sample=True, top_k=3
    )
    model.generation_config = inner.generation_config
    assert answer(model, tokenizer, PROMPTS, (2,), 12) == wanted
    assert model.generation_config.repetition_penalty == 5.0


def test_a_prompt_that_fills_the_context_gets_what_room_there_is_and_cuts_nobody_else(tokenizer):
    model = model_of("gpt2", context=40)
    prompts = [PROMPTS[1], [3 + place % 90 for place in range(35)]]
    assert [room(model, prompt) for prompt in prompts] == [35, 5]
    long, short = alone(model, prompts[0], 12, ())[0], alone(model, prompts[1], 5, ())[0]
    assert [numbers(each.text) for each in answer(model, tokenizer, prompts, (VOCABULARY,), 12)] == [
        long,
        short,
    ]


def test_what_all_prompts_begin_with_is_read_once_and_changes_no_answer(tokenizer):
    model, read = model_of("llama", context=256), []
    beginning = [3 + place % 90 for place in range(80)]
    prompts = [beginning + prompt for prompt in PROMPTS]
    model.register_forward_pre_hook(
        lambda _, __, given: read.append(given["input_ids"].numel()), with_kwargs=True
    )
    found = [numbers(each.text) for each in answer(model, tokenizer, prompts, (2,), 8)]
    # Then the rest, padded: the longest prompt has 20 tokens of its own, of which the first ones may be shared, too.
    assert read[0] >= 80 and read[1] <= 20 * len(prompts)
    assert found == [alone(model, prompt, 8, (2,))[0] for prompt in prompts]


def test_a_short_beginning_is_not_worth_reading_apart():
    assert shared_beginning([[1] * 20 + [2], [1] * 20 + [3]]) == ()
    assert len(shared_beginning([[1] * 90, [1] * 95])) == 89  # something is left of each
    assert shared_beginning([[1] * 90]) == ()


def test_finished_rows_leave_the_batch_and_change_nobodys_answer(tokenizer, monkeypatch):
    model, rows = model_of("llama"), []
    stops = (alone(model, PROMPTS[0], 4, ())[0][3], alone(model, PROMPTS[4], 6, ())[0][5])
    model.register_forward_pre_hook(
        lambda _, __, given: rows.append(len(given["input_ids"])), with_kwargs=True
    )
    monkeypatch.setattr(generate, "LEAVE_AT", 0.99)
    found = answer(model, tokenizer, PROMPTS, stops, 12)
    assert rows[0] == 7 and rows[-1] < 7 and rows == sorted(rows, reverse=True)
    monkeypatch.setattr(generate, "LEAVE_AT", 0.0)
    assert answer(model, tokenizer, PROMPTS, stops, 12) == found


def test_an_answer_ends_before_a_text_that_is_to_end_it(tokenizer):
    model = model_of("llama")
    said = alone(model, PROMPTS[2], 12, ())[0]
    (found,) = answer(model, tokenizer, [PROMPTS[2]], (VOCABULARY,), 12, stop_texts=[f"{said[4]} "])
    first = said.index(said[4])
    assert numbers(found.text) == said[:first] and found.ended == "turn"
    assert found.tokens == first + 1  # and no more were made


def test_the_memory_decides_how_many_tokens_are_answered_at_once(monkeypatch):
    model = model_of("llama")
    monkeypatch.setattr("core.evaluate.batches.free_memory", lambda device: 2**20)
    few = tokens_that_fit(model)
    monkeypatch.setattr("core.evaluate.batches.free_memory", lambda device: 2**22)
    assert tokens_that_fit(model) == pytest.approx(4 * few, rel=0.01)
    assert takes_plain_steps(model) and not takes_plain_steps(model_of("gemma"))


def test_a_stop_is_heard_within_a_batch(tokenizer):
    asked = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    assert answer(model_of("llama"), tokenizer, PROMPTS, (VOCABULARY,), 100, should_stop=should_stop) is None
    assert len(asked) < 8


def test_progress_counts_answers(tokenizer, monkeypatch):
    monkeypatch.setattr("core.evaluate.generate.BATCH_ROWS", 3)
    told = []
    answer(model_of("llama"), tokenizer, PROMPTS, (2,), 2, progress=lambda *step: told.append(step))
    assert told == [(3, 7), (6, 7), (7, 7)]


def test_nobody_asked_nothing_answered(tokenizer):
    assert answer(model_of("llama"), tokenizer, [], (2,), 5) == []


def test_batches_hold_every_row_once_and_stay_within_their_bounds():
    lengths = [5, 40, 7, 90, 7, 12, 3, 40]
    batches = list(by_length(lengths, most_rows=3, most_tokens=80))
    assert sorted(row for batch in batches for row in batch) == list(range(8))
    assert all(len(batch) <= 3 for batch in batches)
    assert all(len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= 80 for batch in batches)
    assert batches[0] == [3]  # longer than the bound by itself
