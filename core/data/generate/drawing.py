"""Facts -> as many pairs as were asked for, in sides that share no passage."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.data.generate.rules import ROUNDS, Fact, Made, Pair, Writer, lot

SIDES = (("train", 0.8), ("validation", 0.1), ("test", 0.1))
SEVERAL = 0.15  # of the rows ask about several entries, unless there is not enough else to ask
NOT_SAID = 0.03  # of the rows ask what the document does not say

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Side:
    name: str  # empty where nothing is split
    share: float


def sides(split: bool) -> list[Side]:
    return [Side(*each) for each in SIDES] if split else [Side("", 1.0)]


def assign(weights: dict[str, int], split: bool, seed: int) -> dict[str, str]:
    """Block of passages -> its side: by lot, so that each side has its share of the weight if the blocks allow it.

    Of two blocks that have a weight, one is for validation; of three, one for each side.
    """
    if not split:
        return dict.fromkeys(weights, "")
    total = sum(weights.values())
    drawn = sorted(weights, key=lambda block: lot(seed, block))
    found = dict.fromkeys(drawn, SIDES[0][0])
    for place, (name, share) in enumerate(SIDES[1:], start=1):
        room, needed = share * total, len(SIDES) - place  # a block each for training and for what comes after
        free = [block for block in drawn if weights[block] and found[block] == SIDES[0][0]]
        taken = 0
        for block in free:
            if weights[block] <= room and (not taken or len(free) - taken > needed):
                found[block], room, taken = name, room - weights[block], taken + 1
        if not taken and len(free) > 1:
            found[min(free, key=weights.__getitem__)] = name
    return found


def draw(
    made: Made, count: int, split: bool, seed: int, left_out: Counter[str], progress: Progress | None = None
) -> dict[str, list[Pair]]:
    """Side -> its pairs, `count` in all if there is enough to ask."""
    weights: Counter[str] = Counter(dict.fromkeys(made.blocks.values(), 0))
    for fact in made.facts:
        if fact.group == "one":
            weights[made.blocks[fact.owners[0]]] += 1
    side_of = assign(weights, split, seed)
    pools: dict[str, list[Fact]] = {side.name: [] for side in sides(split)}
    for fact in made.facts:
        found = {side_of[made.blocks[owner]] for owner in fact.owners}
        if len(found) == 1:
            pools[found.pop()].append(fact)
        else:
            left_out["questions about entries of which some are on another side of the split"] += 1
    writer = Writer(seed, left_out)
    wanted = _shares(count, [side for side in sides(split) if pools[side.name]])
    found, done = {}, 0
    for side in sides(split):
        pairs = []
        for pair in _drawn(pools[side.name], wanted.get(side.name, 0), writer, seed):
            pairs.append(pair)
            done += 1
            if progress and done % 50 == 0:
                progress(done, count)
        found[side.name] = sorted(pairs, key=lambda pair: lot(seed, pair.question))
    if progress:
        progress(done, count)
    return found


def _shares(count: int, filled: Sequence[Side]) -> dict[str, int]:
    """Rows of each side; of two or more, at least one is for the second. What the others leave is for the first."""
    left, found = count, {}
    for side in filled[1:]:
        found[side.name] = min(max(1, round(count * side.share)), left // 2)
        left -= found[side.name]
    return {side.name: left for side in filled[:1]} | found


def _drawn(pool: Sequence[Fact], wanted: int, writer: Writer, seed: int) -> Iterator[Pair]:
    """Each passage in turn, then again with its next fact; at last the facts once more in other words."""
    one = _in_turns([fact for fact in pool if fact.group == "one"], seed)
    several = _in_turns([fact for fact in pool if fact.group == "several"], seed, by_kind=True)
    not_said = _in_turns([fact for fact in pool if fact.group == "not said"], seed)
    queues = [(deque(one), 1 - SEVERAL - NOT_SAID), (deque(several), SEVERAL), (deque(not_said), NOT_SAID)]
    made, asked = [0, 0, 0], []
    while sum(made) < wanted:
        which = _next(queues, made)
        if which is None:
            break
        fact = queues[which][0].popleft()
        pair = writer.write(fact, 0)
        if pair:
            made[which] += 1
            asked.append((which, fact))
            yield pair
    for turn in range(1, ROUNDS):
        for which, fact in asked:
            if sum(made) >= wanted:
                return
            if which == 2 and made[2] >= NOT_SAID * sum(made):
                continue
            pair = writer.write(fact, turn)
            if pair:
                made[which] += 1
                yield pair


def _next(queues: Sequence[tuple[deque[Fact], float]], made: Sequence[int]) -> int | None:
    """Which kind is most behind its share. Nothing is asked that no document says while something else can be."""
    left = [at for at, (queue, _) in enumerate(queues) if queue]
    if not left or left == [2]:
        return None
    total = sum(made) + 1
    if left == [1, 2] or left == [1]:
        left = [1]
    return max(left, key=lambda at: queues[at][1] * total - made[at])


def _in_turns(facts: Sequence[Fact], seed: int, by_kind: bool = False) -> list[Fact]:
    """One fact of each passage (or kind) by lot, then the next of each, so that all are mixed from the beginning."""
    piles: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        piles[fact.kind if by_kind else fact.owners[0]].append(fact)
    keyed = []
    for name, found in piles.items():
        found.sort(key=lambda fact: lot(seed, fact.kind, *fact.owners, str(sorted(fact.slots.items()))))
        keyed += [(turn, lot(seed, name), fact) for turn, fact in enumerate(found)]
    return [fact for *_, fact in sorted(keyed, key=lambda each: each[:2])]
