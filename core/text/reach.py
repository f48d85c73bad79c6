"""Whether the Hugging Face Hub can be reached, asked once."""

import os
from functools import cache

SECONDS = 5.0


@cache
def hub_answers() -> bool:
    """Whether the Hub answers anything at all; False while HF_HUB_OFFLINE is set.

    Without a network the client tries again for half a minute, for each file that is asked for: with
    `local_files_only=not hub_answers()` it says at once what it does not have.
    """
    import httpx2
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        httpx2.head(constants.ENDPOINT, timeout=SECONDS)
    except (httpx2.HTTPError, OSError):
        return False
    return True


def is_local(name: str) -> bool:
    """Whether a model's name is that of something on this machine."""
    return os.path.exists(os.path.expanduser(name))


def means_a_path(name: str) -> bool:
    """Whether a name can only be that of a file or folder: the Hub's are owner/name."""
    return name.count("/") > 1 or name[:1] in ("/", ".", "~")
