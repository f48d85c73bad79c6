"""Documents laid end to end are each what they are alone."""

import pytest
import torch

from core.train.attention import (
    PER_DOCUMENT,
    SHORT,
    attend_per_document,
    can_pack,
    documents,
    per_document,
    without_mask,
)
from tests.train.shapes import CONFIGS, REFUSED, VOCABULARY, made

CPU = torch.device("cpu")


def logits_of(model, ids, lengths):
    with torch.no_grad(), without_mask():
        return model(input_ids=ids[None], use_cache=False, **documents(lengths, CPU)).logits[0]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_document_never_sees_another(name):
    assert can_pack(CONFIGS[name]) is None
    model = made(CONFIGS[name])
    assert attend_per_document(model)
    lengths = [9, 23, 14]
    ids = torch.randint(4, VOCABULARY, (sum(lengths),))
    before = logits_of(model, ids, lengths)
    other = ids.clone()
    other[9:32] = (other[9:32] + 7) % VOCABULARY
    after = logits_of(model, other, lengths)
    assert torch.equal(before[:9], after[:9]) and torch.equal(before[32:], after[32:])
    assert not torch.allclose(before[9:32], after[9:32])


@pytest.mark.parametrize("word", REFUSED)
def test_a_model_that_would_mix_documents_is_refused_with_the_reason(word):
    assert word in can_pack(REFUSED[word])
    model = made(REFUSED[word])
    before = model.config._attn_implementation
    assert not attend_per_document(model) and model.config._attn_implementation == before


def test_a_model_whose_positions_do_not_begin_anew_is_found_out():
    model = made(CONFIGS["gpt2"])
    table = model.transformer.wpe
    table.register_forward_pre_hook(lambda module, inputs: (torch.arange(inputs[0].shape[-1])[None],))
    assert not attend_per_document(model) and model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("window", [None, 6])
@pytest.mark.parametrize("lengths", [[5, 40, 1, 19], [SHORT + 30, 7]], ids=["short", "long"])
@pytest.mark.parametrize("groups", [4, 2, 1])
def test_values_and_gradients_are_those_of_the_whole_mask(groups, lengths, window):
    tokens = sum(lengths)
    document = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    distance = torch.arange(tokens)[:, None] - torch.arange(tokens)[None]
    mask = (document[:, None] == document) & (distance >= 0) & (distance < (window or tokens))
    query, key, value = (
        torch.randn(1, heads, tokens, 8, dtype=torch.float32, requires_grad=True)
        for heads in (4, groups, groups)
    )
    fed = documents(lengths, CPU)
    del fed["position_ids"]
    found, _ = per_document(
        torch.nn.Module(), query, key, value, None, scaling=0.3, sliding_window=window, **fed
    )
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=0.3, enable_gqa=True
    ).transpose(1, 2)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    upward = torch.randn_like(expected)
    for mine, theirs in zip(
        torch.autograd.grad(found, (query, key, value), upward),
        torch.autograd.grad(expected, (query, key, value), upward),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=2e-5)


def test_autocast_changes_nothing_that_the_gradient_would_not_know_of():
    """The gradient is made of shares that are computed again, without autocast: they must be the same ones."""
    lengths = [5, 40]
    fed = documents(lengths, CPU)
    del fed["position_ids"]
    query, key, value = (torch.randn(1, 4, sum(lengths), 8, dtype=torch.bfloat16) for _ in range(3))
    with torch.autocast("cpu", torch.bfloat16):
        cast, _ = per_document(torch.nn.Module(), query, key, value, None, scaling=0.3, **fed)
    plain, _ = per_document(torch.nn.Module(), query, key, value, None, scaling=0.3, **fed)
    assert torch.equal(cast, plain)


def test_padded_rows_and_answers_are_as_with_ordinary_attention():
    model = made(CONFIGS["mistral with a window"])
    ids = torch.randint(4, VOCABULARY, (2, 12))
    there = torch.ones_like(ids)
    there[0, :5] = 0
    ask = {"attention_mask": there, "max_new_tokens": 6, "do_sample": False}
    logits, answer = model(input_ids=ids, attention_mask=there).logits, model.generate(ids, **ask)
    model.set_attn_implementation(PER_DOCUMENT)
    again = model(input_ids=ids, attention_mask=there).logits
    torch.testing.assert_close(again[there.bool()], logits[there.bool()])
    assert torch.equal(model.generate(ids, **ask), answer)
