"""Acts of a run done within the tests' own process, which has imported what they need."""

import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch

from core.runs import Run, jobs


def work_inside(patch: pytest.MonkeyPatch) -> None:
    """From now on whoever starts an act does it to its end; what it prints is in the run's console, as ever."""

    def launch(run: Run, arguments: list[str], environment: dict[str, str], known: bool = False) -> None:
        verb, folder, act, options = arguments
        assert verb == "work"
        threads = torch.get_num_threads()
        with run.console.open("a") as console, redirect_stdout(console), redirect_stderr(console):
            jobs.work(Run(Path(folder)), act, json.loads(options))
        torch.set_num_threads(threads)

    patch.setattr(jobs, "_launch", launch)
