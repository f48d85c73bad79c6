"""The loss made in parts is plain cross entropy, and so are its gradients, however a step is divided."""

import copy
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model

from core.train import limits
from core.train import loss as loss_module
from core.train.attention import attend_per_document, without_mask
from core.train.batches import Split, divided, laid_flat, parts
from core.train.fused import lighten
from core.train.loss import Head
from tests.train.shapes import CONFIGS, LENGTHS, REFUSED, made, rows_of

CPU = torch.device("cpu")
MODELS = CONFIGS | {"gemma2, logits capped": REFUSED["caps"]}


def one_by_one(model, rows):
    """Mean cross entropy over the learnt tokens, each row alone, by torch's own function."""
    total, count = torch.zeros(()), 0
    for row in rows:
        logits = model(input_ids=torch.tensor(row["input_ids"])[None], use_cache=False).logits[0, :-1]
        labels = torch.tensor(row["labels"])[1:]
        total = total + F.cross_entropy(logits.float(), labels, ignore_index=-100, reduction="sum")
        count += int((labels != -100).sum())
    return total / count


def ours(model, rows, packing):
    batch = laid_flat(rows)
    groups = divided(batch["lengths"].tolist(), Split(40, 3), packing)
    count, total, head = int((batch["targets"] != -100).sum()), 0.0, Head(model)
    for part in parts(batch, groups, packing, CPU, len(groups) + 1):
        with without_mask() if packing else nullcontext():
            loss = head.loss(model, part.fed, part.targets)[1] / count
        if loss.requires_grad:
            loss.backward()
        total += loss.item()
    return total


def gradients(model):
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, rtol=1e-4, atol=2e-6, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize("kind", ["full", "lora"])
@pytest.mark.parametrize("name", MODELS)
def test_end_to_end_padded_and_one_by_one_are_the_same_loss_and_gradients(name, kind, monkeypatch):
    for module in (limits, loss_module):
        monkeypatch.setattr(module, "FEWEST_LOGITS", 7)  # several parts
    monkeypatch.setitem(limits.LOGITS_AT_ONCE, "cpu", 0)
    model = made(MODELS[name])
    if kind == "lora":
        model = get_peft_model(
            model, LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
        ).eval()
    alone = copy.deepcopy(model)
    expected = one_by_one(alone, rows_of())
    expected.backward()
    for packing in (False, True):
        mine = copy.deepcopy(model)
        if packing and not attend_per_document(mine):
            assert "gemma2" in name
            continue
        assert ours(mine, rows_of(), packing) == pytest.approx(expected.item(), rel=1e-5)
        assert_same(gradients(mine), gradients(alone))


def test_a_head_whose_added_rows_are_trained_gets_their_gradient():
    settings = LoraConfig(
        r=2, target_modules=["q_proj"], trainable_token_indices={"embed_tokens": [5, 6], "lm_head": [5, 6]}
    )
    model = get_peft_model(made(CONFIGS["llama, head untied"]), settings).eval()
    alone = copy.deepcopy(model)
    one_by_one(alone, rows_of()).backward()
    ours(model, rows_of(), packing=False)
    assert any("lm_head" in name for name in gradients(model))
    assert_same(gradients(model), gradients(alone))


def test_what_is_measured_needs_no_gradient_and_counts_first_ranks():
    model = made(CONFIGS["llama"])
    rows = rows_of()
    batch, head = laid_flat(rows), Head(model)
    (part,) = parts(batch, [list(range(len(LENGTHS)))], False, CPU)
    with torch.no_grad():
        _, nll, first = head.loss(model, part.fed, part.targets)
        logits = model(**part.fed).logits[part.targets != -100]
    wanted = part.targets[part.targets != -100]
    assert nll.item() == pytest.approx(F.cross_entropy(logits, wanted, reduction="sum").item(), rel=1e-5)
    assert first.item() == (logits.argmax(-1) == wanted).sum()


def test_a_token_that_is_all_but_impossible_has_a_finite_loss():
    hidden = torch.eye(4)[:1].requires_grad_()
    weight = torch.zeros(8, 4)
    weight[3, 0] = 400.0
    nll, _ = loss_module._Linear.apply(hidden, weight, torch.tensor([5]), torch.float32, True)
    assert nll.item() == pytest.approx(400.0)


def test_products_in_bfloat16_agree_within_their_noise():
    model = made(CONFIGS["llama"])
    exact = copy.deepcopy(model)
    expected = one_by_one(exact, rows_of())
    expected.backward()
    assert lighten(model) == 4 and attend_per_document(model)
    with torch.autocast("cpu", torch.bfloat16):
        found = ours(model, rows_of(), packing=True)
    assert found == pytest.approx(expected.item(), rel=2e-3)
    for name, value in gradients(exact).items():
        assert (gradients(model)[name] - value).norm() < 0.05 * value.norm(), name


def test_the_exchanged_norms_give_the_values_and_gradients_of_the_ones_they_replace():
    model = made(CONFIGS["llama"])
    norm = model.model.layers[0].input_layernorm
    values = torch.randn(3, 5, 32)
    results = []
    for _ in range(2):
        fed = values.clone().requires_grad_()
        norm.weight.grad = None
        with torch.autocast("cpu", torch.bfloat16):
            norm(fed).bfloat16().float().square().sum().backward()
        results.append((fed.grad, norm.weight.grad))
        lighten(model)
    for mine, theirs in zip(results[1], results[0], strict=True):
        assert (mine - theirs).norm() < 0.01 * theirs.norm()
    assert lighten(made(REFUSED["caps"])) == lighten(made(CONFIGS["experts"])) == 0


def test_somebodys_hook_on_the_head_is_given_logits():
    model = made(CONFIGS["llama"])
    model.lm_head.register_forward_hook(lambda module, inputs, output: output * 0.5)
    assert ours(model, rows_of(), packing=False) == pytest.approx(
        one_by_one(model, rows_of()).item(), rel=1e-5
    )
