"""The shell's side of the house: every verb reads its arguments, calls one function of core, and prints.

atelier train poems.jsonl --preset tiny --train.epochs 3
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import CycloptsError
from pydantic import ValidationError

from core.errors import UserError
from core.spec import RunSpec, sentences
from core.verbs import (  # noqa: F401 (verbs join the command)
    answers,
    compare,
    control,
    evaluate,
    examples,
    export,
    page,
    processes,
    publish,
    remote,
    serve,
    space,
    train,
)
from core.verbs.common import STOPPED, app, harmless


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 the work failed, 2 the request could not be understood or begun, 130 it was stopped."""
    try:
        return app(arguments, exit_on_error=False, print_error=False, result_action="return_value") or 0
    except ValidationError as error:
        print(sentences(error, RunSpec), file=sys.stderr)
    except CycloptsError as error:
        cause = error.__cause__
        said = sentences(cause, RunSpec) if isinstance(cause, ValidationError) else error
        print(harmless(said), file=sys.stderr)
    except UserError as error:
        print(harmless(error), file=sys.stderr)
    except KeyboardInterrupt:
        return STOPPED
    return 2


def entry() -> None:
    """The installed command `atelier`."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # a Windows console has a page of its own
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # `atelier runs | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    raise SystemExit(status)
