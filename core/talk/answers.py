"""What programs are answered, in the form of OpenAI's chat completions: whole, piece by piece, and errors."""

import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse

from core.talk import Piece
from core.talk.requests import RefusedError, Request

TYPES = {401: "authentication_error", 403: "permission_error", 500: "server_error", 503: "server_error"}
FINISH = {"turn": "stop", "stopped": "stop", "length": "length", "context": "length"}
CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
RETRY_AFTER = "2"  # seconds


def error_of(error: RefusedError) -> dict[str, Any]:
    kind = TYPES.get(error.status, "invalid_request_error")
    return {"error": {"message": str(error), "type": kind, "param": error.param, "code": error.code}}


def error_response(error: RefusedError) -> JSONResponse:
    headers = {"Retry-After": RETRY_AFTER} if error.status == 503 else None
    return JSONResponse(error_of(error), error.status, headers)


@dataclass
class Completion:
    """One answer, as it is told."""

    request: Request
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    async def whole(self, pieces: AsyncIterator[Piece]) -> dict[str, Any]:
        message, finish, usage = await self._collected(pieces)
        choice = {
            "index": 0,
            "message": message | {"refusal": None},
            "logprobs": None,
            "finish_reason": finish,
        }
        return self._head("chat.completion") | {"choices": [choice], "usage": usage}

    async def streamed(self, pieces: AsyncIterator[Piece]) -> AsyncIterator[str]:
        """As server-sent events. Where tools are offered the answer comes whole, since only its end tells whether it is
        a call; an error in the middle is an event, too."""
        try:
            yield self._event({"role": "assistant", "content": ""})
            if self.request.tools:
                message, finish, usage = await self._collected(pieces)
                calls = [{"index": place} | call for place, call in enumerate(message.get("tool_calls", []))]
                told = {"content": message["content"]} | ({"tool_calls": calls} if calls else {})
                yield self._event({name: value for name, value in told.items() if value})
            else:
                async for piece in pieces:
                    if piece.text:
                        yield self._event({"content": piece.text})
                finish, usage = FINISH[piece.ended], _usage(piece)
            yield self._event({}, finish)
            if self.request.include_usage:
                yield _line(self._head("chat.completion.chunk") | {"choices": [], "usage": usage})
        except RefusedError as error:
            yield _line(error_of(error))
            return
        yield "data: [DONE]\n\n"

    async def _collected(self, pieces: AsyncIterator[Piece]) -> tuple[dict[str, Any], str, dict[str, int]]:
        said = [piece async for piece in pieces]
        text, last = "".join(piece.text for piece in said), said[-1]
        content, calls = calls_in(text) if self.request.tools and last.ended == "turn" else (text, [])
        message = {"role": "assistant", "content": content} | ({"tool_calls": calls} if calls else {})
        return message, "tool_calls" if calls else FINISH[last.ended], _usage(last)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.request.side}

    def _event(self, delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self.request.include_usage else {}
        return _line(self._head("chat.completion.chunk") | {"choices": [choice]} | usage)


def calls_in(text: str) -> tuple[str | None, list[dict[str, Any]]]:
    """What an answer says, and the tools that it calls as the template chatml writes them; one that cannot be read
    leaves the whole answer as the text that it is."""
    calls = []
    for written in CALL.findall(text):
        try:
            call = json.loads(written)
            name, arguments = call["name"], call["arguments"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return text, []
        if not isinstance(name, str):
            return text, []
        told = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        function = {"name": name, "arguments": told}
        calls.append({"id": f"call_{uuid.uuid4().hex}", "type": "function", "function": function})
    return (CALL.sub("", text).strip() or None, calls) if calls else (text, [])


def _usage(last: Piece) -> dict[str, int]:
    return {
        "prompt_tokens": last.prompt_tokens,
        "completion_tokens": last.tokens,
        "total_tokens": last.prompt_tokens + last.tokens,
    }


def _line(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
