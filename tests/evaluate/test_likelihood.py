import math
import random

import pytest
import torch

from core.data.examples import Source
from core.evaluate.likelihood import Likelihood, likelihoods
from core.text.encode import NOT_TRAINED, Encoded, as_labels
from tests.evaluate.making import SHAPES, VOCABULARY, model_of, with_adapter


def rows(count: int = 9) -> list[Encoded]:
    """Of different lengths, each with a trained stretch of its own: in a batch they need padding."""
    chance = random.Random(0)
    made = []
    for length in (chance.randint(6, 60) for _ in range(count)):
        begin = chance.randint(1, length - 2)
        trained = [begin <= place < begin + 12 for place in range(length)]
        made.append(
            Encoded(
                [chance.randint(3, VOCABULARY - 1) for _ in range(length)], trained, Source("rows", length)
            )
        )
    return made


@torch.no_grad()
def naively(model, row: Encoded) -> Likelihood:
    """One row alone, unpadded, all its logits."""
    logits = model(input_ids=torch.tensor([row.ids])).logits[0, :-1].double()  # (tokens - 1, vocabulary)
    labels = torch.tensor(as_labels(row)[1:])
    there = labels != NOT_TRAINED
    chosen = logits.log_softmax(-1)[there].gather(1, labels[there][:, None])
    first = (logits[there].argmax(-1) == labels[there]).sum()
    return Likelihood(-float(chosen.sum()), int(first), int(there.sum()))


def agree(model) -> None:
    found, wanted = likelihoods(model, rows()), [naively(model, row) for row in rows()]
    assert [(each.first, each.tokens) for each in found] == [(each.first, each.tokens) for each in wanted]
    assert [each.nll for each in found] == pytest.approx([each.nll for each in wanted], rel=1e-4)

    def perplexity(of: list[Likelihood]) -> float:
        return math.exp(sum(each.nll for each in of) / sum(each.tokens for each in of))

    assert perplexity(found) == pytest.approx(perplexity(wanted), rel=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_padded_batch_scores_as_every_row_alone_with_all_its_logits(shape):
    agree(model_of(shape))


@pytest.mark.parametrize("shape", ["llama", "llama tied", "qwen"])
def test_it_scores_a_model_with_an_adapter_on_and_off(shape):
    base = [naively(model_of(shape), row) for row in rows()]
    tuned = with_adapter(model_of(shape))
    agree(tuned)
    assert [each.nll for each in likelihoods(tuned, rows())] != pytest.approx(
        [each.nll for each in base], rel=1e-2
    )
    with tuned.disable_adapter():
        assert [each.nll for each in likelihoods(tuned, rows())] == pytest.approx(
            [each.nll for each in base], rel=1e-4
        )


def test_it_scores_a_model_whose_head_has_an_adapter_too():
    agree(with_adapter(model_of("llama"), head=True))


@pytest.mark.parametrize("shape", ["llama", "gpt2", "gemma"])
def test_what_all_rows_begin_with_is_read_once_and_changes_no_score(shape):
    model = model_of(shape, context=256)
    before = [3 + place % 90 for place in range(70)]
    longer = [
        Encoded(before + row.ids, [False] * 70 + [True, *row.trained[1:]], row.source) for row in rows()
    ]
    found, wanted = likelihoods(model, longer), [naively(model, row) for row in longer]
    assert [each.nll for each in found] == pytest.approx([each.nll for each in wanted], rel=1e-4)
    assert [each.tokens for each in found] == [each.tokens for each in wanted]


def test_no_logits_are_made_where_nothing_is_trained():
    model, seen = model_of("llama"), []
    model.lm_head.register_forward_hook(lambda _, __, logits: seen.append(logits.shape[:-1].numel()))
    found = likelihoods(model, rows())
    assert seen == [sum(each.tokens for each in found)]
    assert model(input_ids=torch.tensor([[3, 4, 5]])).logits.shape == (
        1,
        3,
        VOCABULARY,
    )  # and the model is as before


def test_a_row_without_a_trained_token_counts_nothing():
    nothing = Encoded([3, 4, 5], [False] * 3, Source("rows", 1))
    assert likelihoods(model_of("llama"), [nothing, rows()[0]])[0] == Likelihood(0.0, 0, 0)
    assert likelihoods(model_of("llama"), [nothing]) == [Likelihood(0.0, 0, 0)]


def test_progress_is_told_and_a_stop_is_heard_between_batches(monkeypatch):
    monkeypatch.setattr("core.evaluate.likelihood.BATCH_TOKENS", 100)
    told = []
    likelihoods(model_of("llama"), rows(), progress=lambda *step: told.append(step))
    assert len(told) > 2 and told[-1] == (9, 9)
    heard = []
    assert (
        likelihoods(model_of("llama"), rows(), lambda *step: heard.append(step), lambda: len(heard) == 2)
        is None
    )
    assert len(heard) == 2
