"""The SHA-256 of a file: what checkpoints, exports and results are held against."""

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """In hexadecimal digits; read piece by piece, without holding a lock of Python's."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
