"""Which examples a run trains on and which it measures on: the same for the same settings, whoever asks."""

import json
from dataclasses import dataclass
from pathlib import Path

from core.data.examples import DataReport, Example
from core.errors import DataError
from core.spec import DataSettings


@dataclass(frozen=True)
class Selected:
    reports: tuple[DataReport, ...]  # of `files`, and of `held_out_files` where there are some
    training: tuple[Example, ...]
    held_out: tuple[Example, ...]

    @property
    def sha256(self) -> dict[str, str]:
        return {name: digest for report in self.reports for name, digest in report.sha256.items()}

    @property
    def in_both(self) -> int:
        """Held-out examples that are trained on as well, and so measure nothing."""
        known = {example.messages for example in self.training}
        return sum(example.messages in known for example in self.held_out)

    def check(self, manifest: Path) -> None:
        """DataError if a file is not what it was when the run began; nothing to hold it against is well, too."""
        recorded = json.loads(manifest.read_text("utf-8"))["data"] if manifest.is_file() else {}
        changed = [name for name, digest in self.sha256.items() if recorded.get(name, digest) != digest]
        if changed:
            raise DataError(
                f"{changed[0]} has changed since this run began: put it back as it was, or train a new run."
            )


def select(settings: DataSettings) -> Selected:
    """DataError if no file is named, or nothing in the files can be used."""
    from core.data import read, split

    if not settings.files:
        raise DataError("There is nothing to train on: set data.files, for example to sample:fables-en.")
    report = read(settings.files)
    if settings.held_out_files:
        measured = read(settings.held_out_files)
        return Selected((report, measured), report.examples, measured.examples)
    parts = split(report.examples, settings.held_out_fraction, settings.seed)
    return Selected((report,), parts.train, parts.held_out)
