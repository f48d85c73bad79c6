"""What a model said is kept on disk, by its weights, what it was asked, and how: asked the same again, it need not answer.

All of it can be deleted at any time: see core/cache.py.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatch
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TypeVar

import torch
import transformers
from transformers import AutoConfig

from core import cache
from core.presets import base_model
from core.spec import RunSpec

FILE = "found.json"
# What a model's answers come of: weights, settings, and how texts become tokens.
WEIGHED = (
    "*.safetensors", "*.bin", "*.model", "config.json", "adapter_config.json", "generation_config.json",
    "chat_template.jinja", "tokenizer*.json", "vocab.*", "merges.txt", "added_tokens.json", "special_tokens_map.json",
)  # fmt: skip
Found = TypeVar("Found")


def known(kind: type[Found], parts: Sequence[object]) -> tuple[list[Found], float] | None:
    """What was found, and the seconds that it took; None if it is not known."""
    folder = cache.found("answers", _key(parts))
    if folder is None:
        return None
    try:
        entry = json.loads((folder / FILE).read_text("utf-8"))
        return [kind(**each) for each in entry["found"]], entry["seconds"]
    except (OSError, ValueError, TypeError, KeyError):
        cache.forget(folder)
        return None


def keep(found: Sequence[object], seconds: float, parts: Sequence[object]) -> None:
    entry = {"seconds": seconds, "found": [asdict(each) for each in found]}
    with cache.making("answers", _key(parts)) as beside:
        (beside / FILE).write_text(json.dumps(entry, ensure_ascii=False), "utf-8")


def base_digest(spec: RunSpec) -> str:
    """Tells the base's weights from any others: those of a folder by what is in it, those of the Hub by their commit."""
    place = base_model(spec.model.base)
    if Path(place).is_dir():
        return folder_digest(Path(place))
    config = AutoConfig.from_pretrained(place, revision=spec.model.revision)
    return f"{spec.model.base}@{config._commit_hash}"


def folder_digest(folder: Path) -> str:
    """Of a model's or adapter's weights, settings and tokenizer."""
    digest = sha256()
    for path in sorted(folder.iterdir()):
        if any(fnmatch(path.name, pattern) for pattern in WEIGHED):
            with path.open("rb") as file:
                digest.update(path.name.encode() + file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _key(parts: Sequence[object]) -> str:
    libraries = (torch.__version__, transformers.__version__)
    return cache.key_of(cache.code_of("evaluate"), libraries, *parts)
