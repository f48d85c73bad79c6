"""Examples -> those to train on and those to measure on, by the hashes of their conversations alone."""

from collections import Counter

import numpy as np


def held_out(digests: np.ndarray, sources: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Which examples are held out: bool, (examples,); the same everywhere for the same examples and seed.

    `digests` are 64-bit hashes of the conversations, `sources` the numbers of the data sets they come from, of
    each of which the same fraction is held out. Copies of a conversation stay together, so that nothing
    measured was trained on. Where copies leave no way to hold out the share asked for, it is less, but never
    nothing if there are two different conversations. Most keep their side when a file grows.
    """
    held = np.zeros(len(digests), bool)
    if not fraction or len(np.unique(digests)) < 2:
        return held
    order = np.lexsort((digests, lots(digests, seed)))
    groups = np.split(order, np.flatnonzero(np.diff(digests[order])) + 1)
    room = {
        int(source): round(int(count) * fraction)
        for source, count in zip(*np.unique(sources, return_counts=True), strict=True)
    }
    left = sum(room.values())
    for group in groups:
        if not left:
            break
        taken = Counter(sources[group].tolist())
        if all(times <= room[source] for source, times in taken.items()):
            held[group] = True
            left -= len(group)
            for source, times in taken.items():
                room[source] -= times
    if not held.any():
        held[min(groups, key=len)] = True
    return held


def lots(digests: np.ndarray, seed: int) -> np.ndarray:
    """The lot drawn for each conversation, whatever the others are: uint64, (examples,).

    splitmix64 of the hash and the seed (https://prng.di.unimi.it/splitmix64.c): the same in every Python.
    """
    mixed = digests.astype(np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
