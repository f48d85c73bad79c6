"""What is wrong with what a program asked for, in one sentence."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import gradio as gr
from pydantic import ValidationError, validate_call

from core.errors import UserError


def in_one_sentence(act: Callable, name: str) -> Callable:
    """The act under the name that programs know it by. What is wrong with what they asked for, they are told in one sentence;
    arguments that are not of the declared type are wrong, too."""
    checked, parameters = validate_call(act), list(inspect.signature(act).parameters)

    @functools.wraps(act)
    def answer(*values: Any) -> Any:
        try:
            return checked(**dict(zip(parameters, values, strict=True)))
        except ValidationError as error:
            raise refused(_misfit(error, name)) from None
        except UserError as error:
            raise refused(str(error)) from None

    answer.__name__ = name  # an MCP client knows it by this one
    return answer


def refused(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)


def _misfit(error: ValidationError, name: str) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return (
        f"{name} was called with {where} = {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}."
    )
