"""Rows put together by length, so that little of a batch is padding."""

from collections.abc import Callable, Iterator, Sequence

Progress = Callable[[int, int], None]  # called with the rows done and the rows there are


def by_length(lengths: Sequence[int], most_rows: int, most_tokens: int) -> Iterator[list[int]]:
    """Row numbers, batch by batch, the longest rows first: if memory is short, that shows at once.

    A batch, padding counted, has `most_tokens` at most, except for a single row that is longer by itself.
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batch and (len(batch) == most_rows or (len(batch) + 1) * lengths[batch[0]] > most_tokens):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
