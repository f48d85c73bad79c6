"""How much of each data set is trained on, and in which order: places among examples in, places out."""

from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from core.data.split import lots
from core.errors import DataError

# Shares by the size of the model: small models gain more from short, plain instructions than from long conversations.
RECOMMENDED = {
    "tiny": {"dolly": 0.5, "oasst1": 0.3, "alpaca": 0.2},
    "small": {"dolly": 0.4, "oasst1": 0.4, "alpaca": 0.2},
    "base": {"dolly": 0.3, "oasst1": 0.4, "alpaca": 0.3},
}


@dataclass(frozen=True, slots=True)
class Share:
    """What becomes of one data set of a mix, in examples."""

    name: str
    found: int  # usable
    held_out: int
    used: int  # trained on in each epoch; some come several times if this is more than what is left
    weight: float | None = None

    @property
    def times(self) -> float:
        """How often each of its training examples comes, on average."""
        return self.used / max(1, self.found - self.held_out)


def recommended(mix: str, names: tuple[str, ...]) -> tuple[float, ...]:
    """The weights of a recommended mix for these data sets, each recognised by its name; DataError if one is not."""
    shares = RECOMMENDED[mix]
    weights = []
    for name in names:
        known = [each for each in shares if each in PurePath(name).name.lower()]
        if not known:
            raise DataError(
                f"data.mix {mix} is for {', '.join(shares)}, and {name} is none of them: set data.weights instead."
            )
        weights.append(shares[known[0]])
    return tuple(weights)


def amounts(available: list[int], weights: tuple[float, ...], total: int) -> list[int]:
    """How many examples of each data set make a mix of `total`: what the weights say, rounded by the largest remainders."""
    shares = np.array(weights) / sum(weights) * total
    counts = np.floor(shares).astype(int)
    for at in np.argsort(-(shares - counts), kind="stable")[: total - counts.sum()]:
        counts[at] += 1
    if missing := [at for at, count in enumerate(counts) if count and not available[at]]:
        raise DataError(
            f"Data set {missing[0] + 1} of the mix has no example to train on: leave it out of data.files."
        )
    return counts.tolist()


def drawn(places: np.ndarray, digests: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` of these places: all of them as often as possible, and the rest by lot; in their old order."""
    rounds, rest = divmod(count, len(places)) if len(places) else (0, 0)
    lucky = places[np.argsort(lots(digests, seed + 1), kind="stable")[:rest]]
    return np.sort(np.concatenate([np.repeat(places, rounds), lucky]).astype(places.dtype), kind="stable")


def staged(keys: np.ndarray, stages: int, seed: int) -> np.ndarray:
    """An order from low keys to high ones, in stages, in each of which it is shuffled: places, (examples,).

    A curriculum as Bengio et al. (2009, https://doi.org/10.1145/1553374.1553380) mean it. Examples without a
    key come last.
    """
    order = np.argsort(keys, kind="stable")
    chance = np.random.Generator(np.random.PCG64(seed))
    return np.concatenate([chance.permutation(stage) for stage in np.array_split(order, stages)])
