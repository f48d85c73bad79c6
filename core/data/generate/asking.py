"""Models that can be asked to write pairs: any OpenAI-compatible endpoint, or a run of one's own."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from core.errors import DataError

TOKEN = "ATELIER_ENDPOINT_TOKEN"  # the environment's variable; no token comes from anywhere else
TIMEOUT = 120.0  # seconds for one answer
TRIES = 4
LONGEST_WAIT = 60.0  # seconds; an endpoint that asks for more is given up on
CHARACTERS_PER_TOKEN = 3  # fewer than most texts have, so that estimates are too high rather than too low

Message = dict[str, str]


class Reply(NamedTuple):
    text: str
    tokens: int  # of question and answer


class Asked(Protocol):
    """Something that answers. `ask` raises DataError if it cannot be expected to answer at all."""

    name: str

    def ask(self, messages: Sequence[Message], max_tokens: int, seed: int) -> Reply: ...

    def close(self) -> None: ...


class NoReplyError(Exception):
    """This request failed in all its tries; others may not."""


def estimate(messages: Sequence[Message]) -> int:
    """Tokens of a request, rather too many."""
    return sum(len(message["content"]) // CHARACTERS_PER_TOKEN + 8 for message in messages)


class Endpoint:
    """An OpenAI-compatible endpoint, asked with a bounded number of tries."""

    def __init__(
        self, url: str, model: str, timeout: float = TIMEOUT, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        from huggingface_hub import InferenceClient

        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise DataError(
                f"{url!r} is no address of an endpoint: write it with https://, as its provider gives it."
            )
        token = os.environ.get(TOKEN, "")
        # Without a token of its own the client would send the one of whoever is signed in to the Hub.
        self.client = InferenceClient(base_url=url.rstrip("/"), api_key=token or "none", timeout=timeout)
        self.url, self.model, self.name = url, model, model
        self.sleep = sleep

    def ask(self, messages: Sequence[Message], max_tokens: int, seed: int) -> Reply:
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        for attempt in range(TRIES):
            wait = 2.0**attempt
            try:
                output = self.client.chat_completion(
                    list(messages), model=self.model, max_tokens=max_tokens, temperature=0.7, seed=seed
                )
            except HfHubHTTPError as error:
                status = error.response.status_code
                if status < 500 and status not in (408, 409, 425, 429):
                    raise DataError(self._refused(status)) from None
                wait = max(wait, _retry_after(error.response.headers.get("retry-after", "")))
                why = f"answers with status {status}"
            except OfflineModeIsEnabled:
                raise DataError(
                    "HF_HUB_OFFLINE is set in the environment, which forbids requests to endpoints, too: "
                    "unset it for this command."
                ) from None
            except (OSError, ValueError, KeyError, TypeError) as error:  # no connection, timed out, no JSON
                why = f"cannot be reached or does not answer in its protocol ({type(error).__name__})"
            else:
                return self._reply(output, messages)
            if wait > LONGEST_WAIT:
                raise DataError(
                    f"The endpoint {self.url} {why} and asks to wait {wait:,.0f} seconds: run this again then."
                )
            if attempt + 1 < TRIES:
                self.sleep(wait)
        raise NoReplyError(f"The endpoint {self.url} {why}, {TRIES} times in a row.")

    def _reply(self, output, messages: Sequence[Message]) -> Reply:
        text = (output.choices[0].message.content if output.choices else "") or ""
        used = output.usage.total_tokens if output.usage else 0
        return Reply(text, used or estimate(messages) + len(text) // CHARACTERS_PER_TOKEN)

    def _refused(self, status: int) -> str:
        if status in (401, 403):
            return f"The endpoint {self.url} refuses the request: put your token into the environment as {TOKEN}."
        if status == 404:
            return (
                f"The endpoint {self.url} knows no model {self.model!r}: look at the address and at --model."
            )
        return f"The endpoint {self.url} refuses the request with status {status}: look at --model and its limits."

    def close(self) -> None:
        pass


def _retry_after(text: str) -> float:
    """Seconds to wait; 0 where a date or nothing is given."""
    with contextlib.suppress(ValueError):
        return max(0.0, float(text))
    return 0.0


class OwnRun:
    """The tuned model of a run, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        from core.runs.store import Run
        from core.talk import Talk

        self.name = folder.name
        self.talk = Talk(Run(folder))
        self.talk.ready(timeout=600)

    def ask(self, messages: Sequence[Message], max_tokens: int, seed: int) -> Reply:
        text, tokens = "", 0
        for piece in self.talk.reply(messages, temperature=0.7, max_new_tokens=max_tokens, seed=seed):
            text, tokens = text + piece.text, piece.tokens
        return Reply(text, estimate(messages) + tokens)

    def close(self) -> None:
        self.talk.close()


def asked(endpoint: str | None, model: str | None, base: str | None, runs: Path) -> Asked:
    """Who is to be asked. DataError if that is not said, or not known."""
    if endpoint and not model:
        raise DataError("Name the model of the endpoint, too: --model NAME.")
    if endpoint:
        return Endpoint(endpoint, model or "")
    if not base:
        raise DataError("Say who is to write the questions: --endpoint URL --model NAME, or --base RUN.")
    folder = runs / base if not Path(base).is_dir() else Path(base)
    if not (folder / "spec.yaml").is_file():
        raise DataError(
            f"There is no run {base!r} in {runs}: name one (see `atelier runs`), or an endpoint that serves the model."
        )
    return OwnRun(folder)
