"""Base and tuned model, and an answer of either of them as it grows."""

import time
from collections.abc import Callable, Sequence

import psutil
import torch
from transformers import GenerationConfig
from transformers.generation.streamers import BaseStreamer

from core.errors import RunError
from core.evaluate.generate import StopWhen, context_length, plainly, room
from core.runs.store import Run
from core.talk import Loaded, Piece
from core.talk.pieces import Pieces
from core.talk.requests import UNASKED, Request
from core.talk.stops import Until
from core.train.model import is_adapter, open_pair

Send = Callable[[Piece], None]


class TooLongError(RunError):
    """The model does not see so much at once."""


class Speaker:
    def __init__(self, run: Run) -> None:
        spec = run.spec
        if spec.compute.threads:
            torch.set_num_threads(spec.compute.threads)
        self.pair = open_pair(run)
        self.loaded = Loaded(spec.model.base, run.name, is_adapter(run.final), self._memory_in_use())

    @torch.inference_mode()
    def answer(self, request: Request, send: Send, is_stopped: Callable[[], bool]) -> None:
        """Send the answer piece by piece, the last one with `ended`; TooLongError if there is no room for an answer,
        TextError if the run's template cannot write the conversation."""
        text = self.pair.text
        prompt = text.template.prompt_ids(request.messages, text.tokenizer, request.tools)
        writer = Writer(Pieces(text.tokenizer), Until(request.stop), text.stop_ids, len(prompt), send)
        with self.pair.side(request.side) as model, plainly(model):
            left = room(model, prompt)
            if left < 1:
                raise TooLongError(
                    f"The conversation is {len(prompt)} tokens long and the model sees {context_length(model)} at once, "
                    "its answer included: begin a new conversation, or shorten this one."
                )
            torch.manual_seed(request.seed) if request.seed is not None else torch.seed()
            model.generate(
                input_ids=torch.tensor([prompt], device=self.pair.device),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long, device=self.pair.device),
                generation_config=decoding(request, text.stop_ids, left),
                streamer=writer,
                stopping_criteria=[StopWhen(lambda: writer.turn_is_over or is_stopped())],
            )
        cut = "context" if left < longest(request) else "length"
        writer.close("turn" if writer.turn_is_over else "stopped" if is_stopped() else cut)

    def _memory_in_use(self) -> int:
        if self.pair.device.type == "cuda":
            return torch.cuda.memory_allocated(self.pair.device)
        return psutil.Process().memory_info().rss


def longest(request: Request) -> int:
    """The tokens that an answer may have, as far as the request goes."""
    return request.max_new_tokens or UNASKED


def decoding(request: Request, stop_ids: Sequence[int], left: int) -> GenerationConfig:
    """Sampling as the request has it, and nothing else: transformers would keep the 50 likeliest tokens by itself."""
    sampling = {"temperature": request.temperature, "top_p": request.top_p, "top_k": 0}
    return GenerationConfig(
        do_sample=request.temperature > 0,
        **sampling if request.temperature > 0 else {},
        num_beams=1,
        max_new_tokens=min(longest(request), left),
        eos_token_id=list(stop_ids),
        pad_token_id=stop_ids[0],
    )


class Writer(BaseStreamer):
    """Given every token by `generate` as it is chosen; the first call brings the prompt."""

    def __init__(
        self, pieces: Pieces, until: Until, stop_ids: Sequence[int], prompt_tokens: int, send: Send
    ) -> None:
        self.pieces = pieces
        self.until = until
        self.stop_ids = stop_ids
        self.prompt_tokens = prompt_tokens
        self.send = send
        self.began = time.monotonic()
        self.turn_is_over = False
        self._prompt_is_next = True

    def put(self, value: torch.Tensor) -> None:
        if self._prompt_is_next:
            self._prompt_is_next = False
            return
        token = int(value)
        if token in self.stop_ids:
            self.turn_is_over = True
            return
        text = self.until.add(self.pieces.add(token))
        self.turn_is_over = self.until.found
        if text:
            self._send(text, None)

    def end(self) -> None:
        """`generate` says that it is over, but not why; see `close`."""

    def close(self, ended: str) -> None:
        text = self.until.add(self.pieces.rest()) + self.until.rest()
        self._send(text, "turn" if self.until.found else ended)

    def _send(self, text: str, ended: str | None) -> None:
        seconds = round(time.monotonic() - self.began, 3)
        self.send(Piece(text, ended, len(self.pieces.ids), seconds, self.prompt_tokens))
