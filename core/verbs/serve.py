"""The verb that lets programs ask a trained model."""

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from core.errors import UserError
from core.runs.store import RunStore
from core.verbs.common import RunName, Runs, app


@app.command
def serve(
    run: RunName,
    *,
    port: int = 8000,
    host: str = "127.0.0.1",
    api_key_env: Annotated[str | None, Parameter(show_default=False)] = None,
    allow_origin: tuple[str, ...] = (),
    side: Literal["both", "tuned", "base"] = "both",
    runs: Runs = Path("runs"),
) -> int:
    """Answer programs as OpenAI's API does: /v1/chat/completions with the models tuned and base. Ctrl-C ends it.

    Parameters
    ----------
    port
        0 takes one that is free.
    host
        Where to listen; anything but this machine alone needs a key.
    api_key_env
        Name of the environment's variable that holds the key which programs must send.
    allow_origin
        Pages that may ask from a browser, such as https://chat.example.org; none otherwise.
    side
        Which of the two models may be asked.
    """
    from core.talk.serve import SIDES, serve_by_name

    key = os.environ.get(api_key_env, "") if api_key_env else None
    if key == "":
        raise UserError(
            f"There is no {api_key_env} in the environment: put the key there that programs must send."
        )
    sides = SIDES if side == "both" else (side,)
    return serve_by_name(RunStore(runs).get(run), host, port, key, allow_origin, sides)
