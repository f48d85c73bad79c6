"""The verb that asks a trained model, in conversation."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from core.runs.store import RunStore
from core.verbs.common import Json, RunName, Runs, app


@app.command
def chat(
    run: RunName,
    question: Annotated[
        str | None, Parameter(help="One question; without it, a conversation begins.")
    ] = None,
    *,
    side: Literal["tuned", "base", "both"] = "tuned",
    temperature: float = 0.7,
    max_new_tokens: int = 256,
    seed: int | None = None,
    remember: bool | None = None,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Talk to a trained model, and to its base.

    Parameters
    ----------
    side
        Who answers.
    temperature
        0 always takes the likeliest token.
    max_new_tokens
        Longest answer.
    seed
        The same seed gives the same answer.
    remember
        Answer after what was said before; unless the examples of the run had one question each, if you do not say.
    """
    from core.show import converse

    converse(
        RunStore(runs).get(run),
        question,
        sides=("base", "tuned") if side == "both" else (side,),
        json=json,
        remember=remember,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        seed=seed,
    )
