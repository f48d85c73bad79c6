"""A data set on the Hub -> rows, by the library of the Hub's own; what it downloads stays in its cache.

    "owner/name"        "owner/name?subset=fr&split=train&revision=v1.0"        "hf:owner/name"

Code that comes with a data set is never run.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from core.data.files.parquet import batch_rows, plain_rows
from core.data.remarks import excerpt, quoted, visible
from core.data.rows import Read
from core.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

ANSWER_SECONDS = 30
ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")
OPTIONS = ("subset", "split", "revision")


class _Wanted(NamedTuple):
    id: str
    subset: str | None = None
    split: str = "train"
    revision: str | None = None


def loaded(name: str) -> tuple[str, Callable[[], Iterator[Read]]]:
    """The commit of a data set, or what stands for it, and its rows. DataError if it cannot be loaded."""
    wanted = _wanted(name)
    dataset, commit = _load(wanted)
    return commit, lambda: _rows(dataset)


def _wanted(name: str) -> _Wanted:
    id, _, query = name.removeprefix("hf:").partition("?")
    if not ID.fullmatch(id):
        raise DataError(f"{visible(name)} names no data set on the Hub: write hf:owner/name.")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = [each for each in options if each not in OPTIONS]
    if unknown or (query and not options):
        raise DataError(
            f"In {visible(name)}, {quoted(unknown or [query])} is unknown: write ?subset=, &split= or &revision=."
        )
    return _Wanted(id, **{key: value for key, value in options.items() if value})


def _rows(dataset: "Dataset") -> Iterator[Read]:
    number = 0
    size = batch_rows(dataset.data.nbytes, len(dataset))
    for batch in dataset.with_format("arrow").iter(size):
        for row in plain_rows(batch):
            number += 1
            yield Read(number, row)


def _load(wanted: _Wanted) -> tuple["Dataset", str]:
    import datasets
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    commit = None
    try:
        commit = _commit(wanted)
        splits = datasets.load_dataset(
            f"hf://datasets/{wanted.id}",  # never a folder here that is called like it
            wanted.subset,
            revision=commit or wanted.revision,
        )
    except (datasets.exceptions.DatasetsError, HfHubHTTPError, httpx2.HTTPError) as error:
        raise DataError(_sentence(wanted, error)) from None
    except (OSError, ValueError, RuntimeError) as error:  # what the library raises for names it does not find
        raise DataError(_sentence(wanted, error)) from None
    dataset = _split(wanted, splits)
    if commit:
        return dataset, commit
    commit = _commit_in_the_cache(dataset)
    if wanted.revision and wanted.revision != commit:
        raise DataError(f"{_shown(wanted)} is in the cache in another revision, and HF_HUB_OFFLINE is set.")
    return dataset, commit or dataset._fingerprint


def _commit(wanted: _Wanted) -> str | None:
    """The commit that is asked for; None if the Hub may not be asked, when the cache may have the data set."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        return HfApi().dataset_info(wanted.id, revision=wanted.revision, timeout=ANSWER_SECONDS).sha
    except OfflineModeIsEnabled:
        return None


def _commit_in_the_cache(dataset: "Dataset") -> str | None:
    """The commit that a data set in the cache was made of, by the folder in which it lies."""
    folders = {Path(each["filename"]).parent.name for each in dataset.cache_files}
    return next((each for each in folders if COMMIT.fullmatch(each)), None)


def _split(wanted: _Wanted, splits: "DatasetDict") -> "Dataset":
    if wanted.split in splits:
        return splits[wanted.split]
    raise DataError(
        f"{_shown(wanted)} has no split `{excerpt(wanted.split, 30)}`, but {quoted(splits)}: "
        f"write {wanted.id}?split={next(iter(splits))}."
    )


def _sentence(wanted: _Wanted, error: Exception) -> str:
    """What went wrong, by the library's own words: it has no types for most of it."""
    if type(error).__name__ == "DatasetGenerationError":  # which says nothing itself
        error = error.__cause__ or error
    shown, text = _shown(wanted), str(error)
    listed = re.search(r"(?:available configs|Available): \[(.*?)\]", text)
    subsets = quoted(re.findall(r"'(.*?)'", listed[1])) if listed else ""
    if "Config name is missing" in text:
        return f"{shown} has several subsets: write {wanted.id}?subset= and one of {subsets}."
    if "BuilderConfig" in text and listed:
        return f"{shown} has no subset `{excerpt(wanted.subset or '', 30)}`, but {subsets}."
    for sign, sentence in SENTENCES.items():
        if sign in f"{type(error).__name__}: {text}":
            return sentence.format(shown)
    why = " ".join(text.split()) or type(error).__name__
    return f"{shown} cannot be loaded: {excerpt(why, 160)}"


def _shown(wanted: _Wanted) -> str:
    return f"The data set {wanted.id} on the Hub"


GATED = "{} is for those who accepted its conditions: do so on its page, and set HF_TOKEN to your token."
NOT_THERE = "{} does not exist, nor does a file here called so; if it is private, set HF_TOKEN to your token."
UNREACHABLE = (
    "{} cannot be downloaded, as the Hub cannot be reached: look at your connection, and try again; "
    "with HF_HUB_OFFLINE=1, what was downloaded before is used."
)
# What the name or the message of an error has in it, in the order in which it is looked for.
SENTENCES = {
    "GatedRepo": GATED,
    "RepositoryNotFound": NOT_THERE,
    "is a gated": GATED,
    "Revision": "{} has no such revision: name a branch, a tag or a commit that it has.",
    "401": "{} cannot be read, as the Hub does not accept your token: set HF_TOKEN to one that is valid.",
    "doesn't exist": NOT_THERE,
    "scripts are no longer": "{} is made by code of its own, which is not run: look for one that holds files.",
    "EmptyDataset": "{} holds no data files.",
    "DataFilesNotFound": "{} holds no data files.",
    "Offline": "{} is not in the cache, and nothing is downloaded while HF_HUB_OFFLINE is set.",
    "Connect": UNREACHABLE,
    "Timeout": UNREACHABLE,
    "Couldn't reach": UNREACHABLE,
}
