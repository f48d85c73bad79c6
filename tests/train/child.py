"""Trainings in processes that are forked from one with everything imported, and killed there at an exact point.

A kill from outside comes when it comes. Here the process replaces one of its own functions by its end: kill -9, to
itself, at a call that is named. It costs a second where a job of its own costs five.
"""

import contextlib
import functools
import gc
import importlib
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import torch

from core.cli import main
from core.runs import Run
from core.runs.events import Act, Queued
from core.train import processes, prove

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.train.preloaded"])
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class At:
    """Do something to the arguments of a call of `function`: the `nth` that has `given` among them, in words."""

    function: str
    do: Callable[..., None]
    nth: int = 1
    given: str = ""

    def __call__(self) -> None:
        calls = 0

        def instead(original: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            found = self.given in str((args, kwargs))
            calls += found
            if found and calls == self.nth:
                self.do(*args)
            return original(*args, **kwargs)

        replace(self.function, instead)


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def ask_to_stop(recorder: Any, *_: Any) -> None:
    recorder.run.request_stop()


def kill_at(function: str, nth: int = 1, given: str = "") -> At:
    return At(function, die, nth, given)


def replace(name: str, instead: Any) -> None:
    """Call `instead` with the function of that name and its arguments, in its place."""
    owner, function = _found(name)
    original = getattr(owner, function)

    @functools.wraps(original)
    def called(*args: Any, **kwargs: Any) -> Any:
        return instead(original, *args, **kwargs)

    setattr(owner, function, called)


def _found(name: str) -> tuple[Any, str]:
    *path, function = name.split(".")
    for length in range(len(path), 0, -1):
        with contextlib.suppress(ModuleNotFoundError):
            owner = importlib.import_module(".".join(path[:length]))
            return functools.reduce(getattr, path[length:], owner), function
    raise ModuleNotFoundError(name)


def train(run: Run, *before: Any, act: Act = "train") -> int:
    """Train the run as a job does, after calling each of `before`, or do another act; the process's exit status."""
    process = begun(run, *before, act=act)
    process.join()
    return process.exitcode


def begun(run: Run, *before: Any, act: Act = "train") -> BaseProcess:
    """The process that trains the run, or does another act, started and left to itself."""
    run.withdraw()
    run.events.append(Queued(act=act))
    process = FORKS.Process(target=_be_job, args=(run.folder, act, before))
    process.start()
    return process


def finished(run: Run, *before: Any, act: Act = "train") -> Run:
    """The run, after an act that came to its end."""
    assert train(run, *before, act=act) == 0, run.console.read_text()[-3000:]
    assert run.progress().state == "finished"
    return run


def _be_job(folder: Path, act: Act, before: tuple[Any, ...]) -> None:
    from core.runs.jobs import work
    from core.train import job

    multiprocessing.set_start_method("fork", force=True)  # for workers, as in a process of its own
    run = Run(folder)
    console = os.open(run.console, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(console, 1)
    os.dup2(console, 2)
    job.train = functools.partial(job.train, touch=lambda trainer: prove.witness(trainer, run.folder))
    for each in before:
        each()
    raise SystemExit(work(run, act, {}))


def shell(arguments: list[str], said: Path, *before: Any) -> int:
    """Do what `atelier` does with these arguments, in a fork; the exit status. What it prints is in the file `said`."""
    process = FORKS.Process(target=_be_shell, args=(arguments, said, before))
    process.start()
    process.join()
    return process.exitcode


def _be_shell(arguments: list[str], said: Path, before: tuple[Any, ...]) -> None:
    for each in before:
        each()
    with said.open("w") as file, contextlib.redirect_stdout(file):
        status = main(arguments)
    raise SystemExit(status)


def fork_ranks() -> None:
    """The processes that a job starts to train together are forks of it."""
    _fork_instead(processes, lambda verb, folder: processes.be_rank(Path(folder)))


def fork_proofs() -> None:
    """The processes that prove a resume are forks of the one that asks for the proof."""
    _fork_instead(prove, prove.main)


def _fork_instead(module: ModuleType, do: Callable[..., int]) -> None:
    """Have the module start forks of this process where it starts Python, with the same pipes and environment.

    A fork does with the command's arguments what the command would do, which imports for five seconds first.
    """

    def be(arguments: list[str], environment: dict[str, str]) -> NoReturn:
        # Who started it waits for the end of a pipe, through which a failure to start would be told.
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        os.environ.update(environment)
        torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", torch.get_num_threads())))
        gc.enable()  # which it is not between a fork and another program
        status = 1
        try:
            status = do(*arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def start(command: list[str], env: dict[str, str], **pipes: Any) -> subprocess.Popen:
        python, _, _, *arguments = command
        assert python == sys.executable
        return subprocess.Popen(command, env=env, preexec_fn=functools.partial(be, arguments, env), **pipes)

    names = ("PIPE", "STDOUT", "DEVNULL")
    module.subprocess = SimpleNamespace(Popen=start, **{name: getattr(subprocess, name) for name in names})


@dataclass(frozen=True)
class Shortage:
    """After so many steps there is memory for no more than `tokens` at once: the allocator itself refuses.

    Every forward asks for a share of what is left, and nobody touches it, so that nothing is really used.
    """

    tokens: int
    after: int
    training: bool = True

    def __call__(self) -> None:
        room, steps = 4 * 2**30, 0

        def step(original: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            steps += 1
            return original(*args, **kwargs)

        def forward(original: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
            if steps >= self.after and model.training == self.training:
                torch.empty(ids.numel() * room // self.tokens, dtype=torch.uint8)
            return original(model, *args, **kwargs)

        limit_memory(room)
        replace("core.train.recorder.Recorder.on_step_end", step)
        replace("transformers.models.llama.modeling_llama.LlamaModel.forward", forward)


@dataclass(frozen=True)
class Exhausted:
    """There is no memory when `function` is called."""

    function: str

    def __call__(self) -> None:
        def instead(original: Any, *args: Any, **kwargs: Any) -> Any:
            torch.empty(2**50, dtype=torch.uint8)
            return original(*args, **kwargs)

        replace(self.function, instead)


def limit_memory(room: int) -> None:
    """Let this process have so many bytes more than it has."""
    used = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmSize")
    )
    limit = int(used.split()[1]) * 1024 + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def limit_files() -> None:
    """No file may become larger than a model's weights; its optimizer's memory is."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))


def fill_disk(*arguments: Any) -> None:
    """What is free on the disk of the run is not any more."""
    first = arguments[0]
    folder = first.run.folder if hasattr(first, "run") else Path(first).parent
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))


def set_clock_back(*_: Any) -> None:
    replace("time.time", lambda original: original() - 86_400)


def take_time() -> None:
    """Sleep in each step, so that who looks from outside sees it before the next."""

    def slowly(original: Any, *args: Any, **kwargs: Any) -> Any:
        time.sleep(0.3)
        return original(*args, **kwargs)

    replace("core.train.recorder.Recorder.on_step_end", slowly)


def set_environment(name: str, value: str) -> None:
    """What was set here after the first fork is not set in the next."""
    os.environ[name] = value


def forget_generators() -> None:
    """Go on without the states of the random generators that the checkpoint has."""
    replace("transformers.Trainer._load_rng_state", lambda *_: None)
