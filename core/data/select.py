"""Which examples a run trains on and which it measures on: the same for the same settings, whoever asks."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data import mix
from core.data.examples import DataReport
from core.data.files.opening import expand
from core.data.intake import read
from core.data.remarks import visible
from core.data.shapes.formats import Reading
from core.data.split import held_out
from core.data.store import Examples
from core.errors import DataError
from core.spec import DataSettings


@dataclass(frozen=True)
class Selected:
    reports: tuple[DataReport, ...]  # of `files`, and of `held_out_files` where there are some
    training: Examples
    held_out: Examples
    shares: tuple[mix.Share, ...]  # what becomes of each of `files`
    in_order: bool  # whether training follows the order of `training` instead of shuffling it

    @property
    def sha256(self) -> dict[str, str]:
        return {name: digest for report in self.reports for name, digest in report.sha256.items()}

    @property
    def in_both(self) -> int:
        """Held-out examples that are trained on as well, and so measure nothing."""
        return int(np.isin(self.held_out.digests, self.training.digests).sum())

    def check(self, manifest: Path) -> None:
        """DataError if a file is not what it was when the run began; nothing to hold it against is well, too."""
        recorded = json.loads(manifest.read_text("utf-8"))["data"] if manifest.is_file() else {}
        now = self.sha256
        changed = [name for name, digest in now.items() if recorded and recorded.get(name) != digest]
        if changed := changed or [name for name in recorded if name not in now]:
            raise DataError(
                f"{visible(changed[0])} has changed since this run began, or was not there, or is gone: put it back as it "
                "was, or train a new run."
            )


def select(settings: DataSettings, thorough: bool = False) -> Selected:
    """DataError if no file is named, or nothing in the files can be used. `thorough` is for the reports, see `read`."""
    if not settings.files:
        raise DataError("There is nothing to train on: set data.files, for example to sample:fables-en.")
    reading = reading_of(settings)
    report = read(settings.files, reading, settings.drop, settings.against, thorough)
    every: Examples = report.examples
    sources = _sources(settings.files)[every.file_numbers]
    if settings.held_out_files:
        measured = read(settings.held_out_files, reading, settings.drop)
        reports, kept_back = (report, measured), np.zeros(len(every), bool)
    else:
        kept_back = held_out(every.digests, sources, settings.held_out_fraction, settings.seed)
        reports = (report,)
    training, shares = _mixed(settings, every, sources, kept_back)
    return Selected(
        reports=reports,
        training=_in_order(settings, training),
        held_out=reports[1].examples if len(reports) > 1 else every.take(every.places[kept_back]),
        shares=shares,
        in_order=settings.order != "shuffled",
    )


def reading_of(settings: DataSettings) -> Reading:
    return Reading(columns=settings.columns.model_dump(exclude_none=True), paths=settings.paths)


def _sources(files: tuple[str, ...]) -> np.ndarray:
    """For each file that is read, which of `files` it belongs to: a folder holds several."""
    return np.array([at for at, name in enumerate(files) for _ in expand([name])])


def _mixed(
    settings: DataSettings, every: Examples, sources: np.ndarray, kept_back: np.ndarray
) -> tuple[Examples, tuple[mix.Share, ...]]:
    """The training examples in the proportions that are asked for, and what becomes of each data set."""
    names = settings.files
    weights = mix.recommended(settings.mix, names) if settings.mix else settings.weights
    parts = [every.take(every.places[(sources == at) & ~kept_back]) for at in range(len(names))]
    available = [len(part) for part in parts]
    counts = available
    if weights or settings.examples:
        total = settings.examples or sum(available)
        counts = mix.amounts(available, weights or tuple(map(float, available)), total)
        pairs = zip(parts, counts, strict=True)
        parts = [
            part.take(mix.drawn(part.places, part.digests, count, settings.seed)) for part, count in pairs
        ]
    shares = tuple(
        mix.Share(
            name, int((sources == at).sum()), int((kept_back & (sources == at)).sum()), counts[at], weight
        )
        for at, (name, weight) in enumerate(zip(names, weights or [None] * len(names), strict=True))
    )
    return every.take(np.concatenate([part.places for part in parts])), shares


def _in_order(settings: DataSettings, training: Examples) -> Examples:
    if settings.order == "shuffled":
        return training
    keys = training.sizes.astype(float) if settings.order == "length" else training.values
    if np.isnan(keys).all() and len(keys):
        raise DataError(
            "data.order is difficulty, but no example has one: name its column in data.columns.difficulty."
        )
    return training.take(training.places[mix.staged(keys, settings.stages, settings.seed)])
