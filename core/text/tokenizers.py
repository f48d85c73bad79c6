"""The tokenizer of a model, from a SentencePiece file, a folder or the Hub; never another one in its place.

Needs transformers only to load it: where it is, and whether it is the one that was seen before, is known without.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import TextError
from core.hashing import sha256_of
from core.presets import base_model
from core.spec import ModelSettings
from core.text.reach import hub_answers, means_a_path

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

RAW = ("tokenizer.model", "spm.model", "spiece.model", "sentencepiece.bpe.model")
SAVED = "tokenizer.json"
CONFIG = "tokenizer_config.json"
# What a tokenizer can consist of; weights stay where they are.
FILES = (
    *RAW,
    SAVED,
    CONFIG,
    *("config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt"),
    *("chat_template.jinja", "chat_template.json"),
)
MORE = (".json", ".jinja", ".model", ".txt")  # how other files end that a folder's tokenizer may be made of
GENERIC = (
    "PreTrainedTokenizerFast",
    "TokenizersBackend",
)  # classes that do what tokenizer.json says and no more


def source_of(model: ModelSettings) -> tuple[str, str | None]:
    """What `load_tokenizer` is to be given for a run: its own tokenizer, or that of its base, at its revision."""
    return (model.tokenizer, None) if model.tokenizer else (base_model(model.base), model.revision)


def load_tokenizer(source: str, revision: str | None = None) -> "PreTrainedTokenizerFast":
    """The fast tokenizer of `source`: a SentencePiece `.model` file, a folder, or a model's name on the Hub.

    Code from the Hub is never run. TextError if there is no such tokenizer, if it is damaged, or if only a
    slow one can be made of what is there.
    """
    place = _find(source, revision)
    if _is_file(place):
        return _raw(place)
    is_here = place == Path(source).expanduser()
    return _from_folder(place, source, None if is_here else revision)


def fingerprint(source: str, revision: str | None = None) -> str:
    """A hash of the files that `load_tokenizer` would read, fetched if they are on the Hub; TextError if it has no place."""
    place = _find(source, revision)
    beside = (*place.glob("*"), *place.glob("additional_chat_templates/*"))
    inside = sorted(path for path in beside if path.suffix in MORE and path.is_file())
    try:
        hashes = [f"{path.name} {sha256_of(path)}" for path in ([place] if _is_file(place) else inside)]
    except OSError as error:
        raise TextError(f"The tokenizer {place} cannot be read: {error.strerror}.") from None
    return sha256("\n".join(hashes).encode()).hexdigest()


def _is_file(place: Path) -> bool:
    """Whether it is to be read as a SentencePiece file, which may be missing."""
    return place.suffix == ".model" and not place.is_dir()


def _find(source: str, revision: str | None) -> Path:
    """The SentencePiece file or the folder that the tokenizer is in."""
    path = Path(source).expanduser()
    if _is_file(path) or path.is_dir():
        return path
    if path.exists():
        raise TextError(
            f"{source} is no tokenizer: name a SentencePiece .model file, or the folder that {path.name} is in."
        )
    if means_a_path(source):
        raise TextError(f"There is no file or folder {source}: check the path of the tokenizer.")
    return _download(source, revision)


def _from_folder(folder: Path, name: str, revision: str | None = None) -> "PreTrainedTokenizerFast":
    """`name` is what the user called it, and for a model of the Hub also what transformers knows it by."""
    raw = next((folder / each for each in RAW if (folder / each).is_file()), None)
    if raw and not (folder / SAVED).is_file():
        if (folder / CONFIG).is_file():
            # transformers would guess here, and without protobuf even take it for a tiktoken file.
            raise TextError(
                f"{name} has only a slow tokenizer ({raw.name} with {CONFIG}): save it once with a {SAVED}, or name the "
                f"file {raw.name} itself to use it without that configuration."
            )
        return _raw(raw)
    if not (folder / SAVED).is_file() and not (folder / CONFIG).is_file():
        raise TextError(f"{name} has no tokenizer: there is neither {SAVED} nor {CONFIG} nor {RAW[0]} in it.")
    return _from_transformers(folder, name, revision)


def _raw(path: Path) -> "PreTrainedTokenizerFast":
    from core.text.sentencepiece import from_sentencepiece

    return from_sentencepiece(path)


def _from_transformers(folder: Path, name: str, revision: str | None) -> "PreTrainedTokenizerFast":
    # A model of the Hub by its name: transformers makes exceptions for some, which a path would hide.
    source = folder if Path(name).expanduser() == folder else name
    try:
        # tokenizers raises Exception itself if its file is damaged, so there is no smaller net.
        tokenizer = _loader(folder).from_pretrained(
            source, revision=revision, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise TextError(
                f"The tokenizer of {name} needs code of its own, which is never run here: use a model whose tokenizer "
                f"transformers knows, or one with a {SAVED}."
            ) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TextError(
            f"The tokenizer of {name} cannot be loaded; get its files again or use another: {reason}"
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise TextError(
            f"{name} has only a slow tokenizer: save it once with a {SAVED}, or use another model."
        )
    for mine in ("is_local", "local_files_only"):  # they would be saved with the tokenizer, and published
        tokenizer.init_kwargs.pop(mine, None)
    return tokenizer


def _loader(folder: Path) -> type:
    """AutoTokenizer, or what it would choose where that is plain to see: importing it takes a second."""
    from transformers import PreTrainedTokenizerFast

    try:
        named = json.loads((folder / CONFIG).read_text("utf-8")).get("tokenizer_class")
    except (OSError, ValueError, AttributeError):
        named = None  # AutoTokenizer tells what is wrong with it
    if named in GENERIC and (folder / SAVED).is_file():
        return PreTrainedTokenizerFast
    from transformers import AutoTokenizer

    return AutoTokenizer


def _download(name: str, revision: str | None) -> Path:
    """The folder with the tokenizer's files, taken from the cache if the Hub cannot be reached."""
    import httpx2
    from huggingface_hub import errors, snapshot_download

    at = f"{name} at {revision}" if revision else name
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=list(FILES),
                local_files_only=not hub_answers(),
            )
        )
    except errors.HFValidationError:
        raise TextError(
            f"{name!r} is neither a file nor a folder here, nor a name on the Hub (owner/name)."
        ) from None
    except errors.GatedRepoError:
        raise TextError(
            f"{name} is gated: accept its conditions on its page of the Hub, and sign in."
        ) from None
    except errors.RepositoryNotFoundError:
        raise TextError(
            f"There is no model {name} on the Hub, or it is private: check the name, or sign in."
        ) from None
    except errors.RevisionNotFoundError:
        raise TextError(f"{name} has no revision {revision!r}: check model.revision.") from None
    except (
        errors.LocalEntryNotFoundError,
        errors.IncompleteSnapshotError,
        errors.OfflineModeIsEnabled,
    ) as error:
        raise TextError(
            f"{at} is not on this machine, and the Hub cannot be reached: try again when it can."
        ) from error
    except (httpx2.HTTPError, OSError) as error:
        raise TextError(
            f"The tokenizer of {at} cannot be fetched from the Hub; try again: {error}"
        ) from error
