"""What follows from the method and its rank alone: the scale of the added matrices, and the learning rate. No torch."""

import math

from core.spec import MethodSettings

FULL = 2e-5
OF_FULL = (
    10  # LoRA's best rate is ten times full fine-tuning's, whatever the model ("LoRA Without Regret", 2025)
)
LARGE_QLORA = (
    30_000_000_000  # parameters; QLoRA took 2e-4 up to 13B and 1e-4 at 33B and 65B (Dettmers et al., 2023)
)
ALPHA = 32.0
ALPHA_OF_RSLORA = 8.0


def alpha(method: MethodSettings) -> float:
    """`method.alpha`, or what research supports. The matrices' product is scaled by alpha / rank; under rslora by
    alpha / sqrt(rank).

    lora, qlora, dora: 32 at every rank, which makes the best learning rate independent of the rank ("LoRA Without
    Regret", Schulman et al., Thinking Machines Lab, 2025). At rank 16 it is the customary 2 x rank.
    rslora: 8, so that at rank 16 the scale is lora's and higher ranks keep more of it (Kalajdzievski 2023,
    arXiv 2312.03732: only 1 / sqrt(rank) keeps activations and gradients of one size at every rank).
    pissa: the rank, a scale of 1: the matrices begin as the weight's own principal part (Meng et al. 2024,
    arXiv 2404.02948, whose runs all have alpha = rank).
    """
    if method.alpha is not None:
        return method.alpha
    return {"rslora": ALPHA_OF_RSLORA, "pissa": float(method.rank)}.get(method.kind, ALPHA)


def scale(method: MethodSettings) -> float:
    """What the product of the added matrices is multiplied by."""
    return alpha(method) / (math.sqrt(method.rank) if method.kind == "rslora" else method.rank)


def learning_rate(method: MethodSettings, parameters: int | None = None) -> tuple[float, str]:
    """The peak learning rate for a method, and the reason in a sentence; `parameters` are the base's, where known.

    full: 2e-5. lora, rslora: ten times that at every rank, by `alpha` above. An alpha of one's own moves it the other
    way: under Adam an update grows with alpha times the rate ("LoRA Without Regret").
    qlora: as lora, half of it for bases of 30B and more (Dettmers et al. 2023, arXiv 2305.14314, table 9).
    dora: three quarters of lora's; its authors begin "slightly lower than that of LoRA" (Liu et al. 2024,
    arXiv 2402.09353, and their repository).
    pissa: full's, at every rank: the matrices hold the weight's largest directions and feel each step as it does
    (Meng et al. 2024: 2e-5).
    """
    if method.kind in ("full", "pissa"):
        whose = (
            "usual for full training"
            if method.kind == "full"
            else "full training's, as PiSSA's authors have it"
        )
        return FULL, f"The learning rate is {FULL:g}, {whose}."
    usual = alpha(method.model_copy(update={"alpha": None}))
    parts = [f"{OF_FULL} times full training's"]
    rate = FULL * OF_FULL
    if method.kind == "dora":
        rate *= 0.75
        parts.append("lowered by a quarter for dora")
    if method.kind == "qlora" and parameters is not None and parameters >= LARGE_QLORA:
        rate /= 2
        parts.append("halved for so large a base")
    if alpha(method) != usual:
        rate *= usual / alpha(method)
        parts.append(f"times {usual:g} / {alpha(method):g} for method.alpha")
    rate = float(f"{min(rate, 1.0):.2g}")
    return rate, f"The learning rate is {rate:g}: {', '.join(parts)}."


def expert_rank(rank: int, experts_used: int) -> int:
    """The rank beside each expert: a token passes `experts_used` of them, which share the rank of a dense layer
    ("LoRA Without Regret" divides it so)."""
    return max(1, rank // max(1, experts_used))
