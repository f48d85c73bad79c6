"""Which files of a model's folder may leave the house. Needs no torch."""

from fnmatch import fnmatch
from pathlib import Path

# Pickles, of which the trainer's settings hold a token if it was given one; what only a resume needs; the card is made
# anew.
NEVER = (
    *("training_args.bin", "*.pt", "*.pth", "*.pkl", "optimizer*", "scheduler*", "rng_state*"),
    *("trainer_state.json", "sha256.json", "README.md", "curve.png"),
)


def publishable(folder: Path) -> list[Path]:
    """Files in the folder and below, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and _may_leave(path))


def _may_leave(path: Path) -> bool:
    return not any(fnmatch(path.name, pattern) for pattern in NEVER)
