"""The loss where there is something to learn: the head sees trained positions alone, a part of them at a time.

Logits are most of the memory and, on a small model, most of the work. Each part's gradient is made while its logits
are there, so that they are made once and held once.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel

from core.text.encode import NOT_TRAINED
from core.train.limits import FEWEST_LOGITS, LOGITS_AT_ONCE, logits_at_once


class Head:
    """A model's head, made to answer with the loss instead of logits while `losses` is open.

    The model's own forward runs, whatever wraps it. Where it does something to the logits after the head (scales or
    caps them), the head still sees trained positions alone, but gives their logits, all at once.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        """`model` without wrappers for several processes; PEFT's may be there. It is called once, on a few tokens."""
        self._module = model.get_output_embeddings()
        # Somebody's hook on the head would be given the loss for logits.
        self._gives_loss = not self._module._forward_hooks and _is_last(model, self._module)

    def loss(self, model: nn.Module, fed: dict[str, Any], targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The model's output, the sum of the cross entropy in nats, and how many targets were ranked first.

        `targets` is (rows, tokens): of each position the token that follows, or NOT_TRAINED. How many were ranked
        first is counted only where no gradient is wanted; -1 elsewhere.
        """
        trained = targets != NOT_TRAINED
        with self._replaced(trained, targets[trained]):
            output = model(**fed, use_cache=False)
        if self._gives_loss:
            nll, first = output.logits.flatten()
        else:
            nll, first = _from_logits(output.logits[0], targets[trained])
        return output, nll, first.detach()

    @contextlib.contextmanager
    def _replaced(self, trained: torch.Tensor, targets: torch.Tensor) -> Iterator[None]:
        module = self._module
        ordinary = module.forward

        def forward(hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            chosen = hidden[trained]  # (trained tokens, hidden)
            if not self._gives_loss:
                return ordinary(chosen[None], *args, **kwargs)
            return torch.stack(_loss(module, ordinary, chosen, targets))[None, None]

        shadowed = module.__dict__.get("forward")  # somebody else's, such as accelerate's
        module.forward = forward
        try:
            yield
        finally:
            if shadowed is None:
                del module.forward
            else:
                module.forward = shadowed


def _is_last(model: PreTrainedModel, head: nn.Module) -> bool:
    """Whether the head's output is the model's logits as it is."""
    weight = model.get_input_embeddings().weight
    if weight.is_meta:
        return False
    made: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda module, inputs, output: made.append(output))
    was_training = model.training
    try:
        with torch.no_grad():
            ids = torch.arange(4, device=weight.device)[None] % weight.shape[0]
            logits = model.eval()(input_ids=ids, use_cache=False).logits
    finally:
        hook.remove()
        model.train(was_training)
    return len(made) == 1 and made[0].shape == logits.shape and torch.equal(made[0].to(logits), logits)


def _loss(
    module: nn.Module, ordinary: Any, hidden: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    plain = type(module) is nn.Linear and module.bias is None and not module._forward_hooks
    if plain and hidden.device.type in LOGITS_AT_ONCE:
        if torch.is_autocast_enabled(hidden.device.type):
            dtype = torch.get_autocast_dtype(hidden.device.type)
        else:
            dtype = module.weight.dtype
        return _Linear.apply(hidden, module.weight, targets, dtype, torch.is_grad_enabled())
    learnt = [weight for weight in module.parameters() if weight.requires_grad]
    return _AnyHead.apply(ordinary, hidden, targets, torch.is_grad_enabled(), *learnt)


class _Linear(torch.autograd.Function):
    """Product with the head's weight and cross entropy, part by part, with the gradient of both factors.

    Logits in float32 go through softmax in place and become the gradient; in bfloat16 nothing but the product's own
    rounding is added. Buffers are made once: fresh memory cost more than everything that is done in it, 227 instead
    of 29 ms for the softmax of 2,048 x 49,152 logits.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        dtype: torch.dtype,
        learning: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        (rows, width), vocabulary, device = hidden.shape, weight.shape[0], hidden.device
        for_hidden, for_weight = (learning and needed for needed in ctx.needs_input_grad[:2])
        factor = weight.to(dtype)
        ctx.dtypes = hidden.dtype, weight.dtype
        ctx.hidden = torch.empty(rows, width, dtype=dtype, device=device) if for_hidden else None
        # Added up in float32: bfloat16 would forget small parts.
        ctx.weight = torch.zeros(weight.shape, device=device) if for_weight else None
        product = torch.empty_like(factor) if for_weight else None
        nll = torch.zeros((), device=device)
        first = torch.full((), -1.0 if learning else 0.0, device=device)
        size = max(1, min(rows, logits_at_once(vocabulary, device.type)))
        narrow = torch.empty(size, vocabulary, dtype=dtype, device=device)
        wide = narrow if dtype == torch.float32 else torch.empty_like(narrow, dtype=torch.float32)
        for begin in range(0, rows, size):
            chosen = hidden[begin : begin + size].to(dtype)
            wanted = targets[begin : begin + size, None]
            logits = torch.mm(chosen, factor.t(), out=narrow[: len(chosen)])
            scores = logits if wide is narrow else wide[: len(chosen)].copy_(logits)
            own = scores.gather(1, wanted)
            if not learning:
                first += (scores.max(1).indices == wanted[:, 0]).sum()
            nll += (scores.amax(1, keepdim=True) - own).sum()
            torch.softmax(scores, 1, out=scores)
            # The largest has become 1 / sum(exp(score - largest)), never too small for its logarithm.
            nll -= scores.amax(1).log().sum()
            if not for_hidden and not for_weight:
                continue
            scores.scatter_add_(1, wanted, torch.full_like(own, -1.0))
            gradient = scores if wide is narrow else logits.copy_(scores)
            if for_hidden:
                torch.mm(gradient, factor, out=ctx.hidden[begin : begin + size])
            if for_weight:
                ctx.weight.add_(torch.mm(gradient.t(), chosen, out=product))
        ctx.mark_non_differentiable(first)
        return nll, first

    @staticmethod
    def backward(ctx: Any, scale: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_hidden, of_weight = ctx.hidden, ctx.weight
        ctx.hidden = ctx.weight = None
        if of_hidden is not None:
            of_hidden = of_hidden.mul_(scale).to(ctx.dtypes[0])
        if of_weight is not None:
            of_weight = of_weight.mul_(scale).to(ctx.dtypes[1])
        return of_hidden, of_weight, None, None, None


class _AnyHead(torch.autograd.Function):
    """The same for a head that is more than a product: with a bias, or with rows or matrices that PEFT added."""

    @staticmethod
    def forward(
        ctx: Any,
        head: Any,
        hidden: torch.Tensor,
        targets: torch.Tensor,
        learning: bool,
        *learnt: nn.Parameter,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        nll = torch.zeros((), device=hidden.device)
        first = torch.full((), -1.0 if learning else 0.0, device=hidden.device)
        of_hidden, of_learnt = torch.zeros_like(hidden), [torch.zeros_like(weight) for weight in learnt]
        begin, size = 0, FEWEST_LOGITS  # until the vocabulary is known
        while begin < len(hidden):
            part = hidden[begin : begin + size].detach().requires_grad_(learning)
            target = targets[begin : begin + size]
            with torch.set_grad_enabled(learning):
                logits = head(part[None])[0].float()
                loss = F.cross_entropy(logits, target, reduction="sum")
            nll += loss.detach()
            if learning:
                found = torch.autograd.grad(loss, [part, *learnt])
                of_hidden[begin : begin + size] = found[0]
                for total, new in zip(of_learnt, found[1:], strict=True):
                    total += new
            else:
                first += (logits.max(1).indices == target).sum()
            begin, size = begin + size, logits_at_once(logits.shape[1], hidden.device.type)
        ctx.made = (of_hidden, *of_learnt)
        ctx.mark_non_differentiable(first)
        return nll, first

    @staticmethod
    def backward(ctx: Any, scale: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_hidden, *of_learnt = (made.mul_(scale) for made in ctx.made)
        ctx.made = None
        return None, of_hidden, None, None, *of_learnt


class _CrossEntropy(torch.autograd.Function):
    """Sum of the cross entropy of logits (tokens, vocabulary), whose gradient takes their place."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor, learning: bool) -> torch.Tensor:
        size = logits_at_once(logits.shape[1], logits.device.type)
        nll = torch.zeros((), device=logits.device)
        ctx.gradient = logits if learning else None
        for part, target in zip(logits.split(size), targets.split(size), strict=True):
            scores = F.log_softmax(part.float(), 1)
            nll -= scores.gather(1, target[:, None]).sum()
            if ctx.gradient is not None:
                part.copy_(scores.exp_()).scatter_add_(1, target[:, None], -torch.ones_like(part[:, :1]))
        return nll

    @staticmethod
    def backward(ctx: Any, scale: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient, ctx.gradient = ctx.gradient, None
        return gradient.mul_(scale), None, None


def _from_logits(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if logits.requires_grad:
        # A copy: what made the logits may need their values for its own gradient.
        return _CrossEntropy.apply(logits.clone(), targets, True), torch.full((), -1.0, device=logits.device)
    first = (logits.argmax(-1) == targets).sum().float()
    return _CrossEntropy.apply(logits, targets, False), first
