"""Which examples a run trains on and which it measures on: the same for the same settings, whoever asks."""

from dataclasses import dataclass

from core.data.examples import DataReport, Example
from core.errors import DataError
from core.spec import DataSettings


@dataclass(frozen=True)
class Selected:
    report: DataReport  # of `files`; those of `held_out_files` have their own
    training: tuple[Example, ...]
    held_out: tuple[Example, ...]


def select(settings: DataSettings) -> Selected:
    """DataError if no file is named, or nothing in the files can be used."""
    from core.data import read, split

    if not settings.files:
        raise DataError("There is nothing to train on: set data.files, for example to sample:fables-en.")
    report = read(settings.files)
    if settings.held_out_files:
        return Selected(report, report.examples, read(settings.held_out_files).examples)
    parts = split(report.examples, settings.held_out_fraction, settings.seed)
    return Selected(report, parts.train, parts.held_out)
