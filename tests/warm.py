"""Processes of `atelier` that need not import torch and its friends once more, which takes seconds of each: one process has
done it, and all are forked from it. Each is a process of its own, with its own session, environment, folder and streams.

Whoever meets a hub, GPUs or other threads reads so at the import: it is started as ever.

python -m tests.warm ADDRESS app.py ...: the page, whose jobs, plans and looks at data are forked at that address.
"""

import array
import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest

from core import children, talk
from core.runs import jobs, queue

IMPORTED = (
    "core.cli",
    "core.examine",
    "core.train.job",
    "core.evaluate.job",
    "core.publish.merge",
    "core.talk.answers",
)
READ_AT_IMPORT = (
    "HF_",
    "HUGGING",
    "OMP_",
    "GOMP_",
    "MKL_",
    "TRANSFORMERS_",
    "TOKENIZERS_",
    "PYTHONHASHSEED",
    "SPACE_ID",
)
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # those that wait spin, and take from the tests beside them
PYTHON = [sys.executable, "-m", "core"]
STARTERS = (jobs, children, talk)  # the modules that start a `python -m core`


class Started:
    """A process that was forked, as `subprocess.Popen` has it."""

    def __init__(self, connection: socket.socket, stdin: BinaryIO | None = None) -> None:
        self.connection = connection
        self.pid = int(connection.recv(64))
        self.stdin = stdin
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it ended just now
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """The exit status; None while it is at work."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = 30.0) -> int:
        if self.returncode is None:
            self.connection.settimeout(timeout)
            with suppress(BlockingIOError, TimeoutError):
                self.returncode = int(self.connection.recv(64))
                self.connection.close()
        if self.returncode is None:
            raise subprocess.TimeoutExpired(PYTHON, timeout)
        return self.returncode


class Way:
    """The way to the process that has imported all."""

    def __init__(self, address: str, environment: dict[str, str]) -> None:
        self.address, self.environment = address, environment

    def start(
        self,
        arguments: Sequence[object],
        environment: dict[str, str],
        out: int,
        err: int,
        folder: object = None,
        stdin: int | None = None,
    ) -> Started:
        """A new `python -m core <arguments>`, whose standard input is empty, or a pipe from here."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for _ in range(1200):  # at first it is still importing
            if not connection.connect_ex(self.address):
                break
            time.sleep(0.1)
        source, sink = (os.open(os.devnull, os.O_RDONLY), None) if stdin != subprocess.PIPE else os.pipe()
        with tempfile.TemporaryFile() as asked:  # an environment may be longer than a message
            told = [*map(str, arguments)], environment | ONE_THREAD, str(folder or Path.cwd())
            asked.write(json.dumps(told).encode())
            asked.flush()
            descriptors = array.array("i", [asked.fileno(), source, out, err])
            connection.sendmsg([b"?"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
            os.close(source)
            return Started(connection, sink and os.fdopen(sink, "wb"))

    def popen(self, command: list[str], *, env: dict[str, str], **how: Any) -> Started | subprocess.Popen:
        """What `subprocess.Popen` does."""
        if command[:3] != PYTHON or _read_at_import(env) != _read_at_import(self.environment):
            return subprocess.Popen(command, env=env, **how)
        out = how["stdout"].fileno()
        err = out if how["stderr"] == subprocess.STDOUT else how["stderr"].fileno()
        return self.start(command[3:], env, out, err, stdin=how["stdin"])

    def module(self) -> SimpleNamespace:
        """`subprocess`, whose processes are forked."""
        return SimpleNamespace(**vars(subprocess) | {"Popen": self.popen})


@cache
def way() -> Way | None:
    """One for all tests. None where there are GPUs: a process that has looked at one cannot be forked."""
    if queue.gpus():
        return None
    folder = tempfile.mkdtemp(prefix="warm-")
    found = Way(str(Path(folder, "socket")), jobs.child_environment() | ONE_THREAD)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", found.address],
        cwd=jobs.ROOT, env=found.environment, stdin=subprocess.PIPE,
    )  # fmt: skip

    def close() -> None:
        process.stdin.close()
        process.wait()
        shutil.rmtree(folder)

    atexit.register(close)
    return found


def atelier(*arguments: object, cwd: object = None, **environment: str) -> subprocess.CompletedProcess:
    """`python -m core <arguments>`, carried out; what it printed is text."""
    with (
        tempfile.TemporaryFile() as err,
        begun(*arguments, cwd=cwd, err=err, **environment) as (process, out),
    ):
        status = process.wait(420)
        return subprocess.CompletedProcess(arguments, status, out(), _text(err))


@contextmanager
def begun(
    *arguments: object, cwd: object = None, err: BinaryIO | None = None, **environment: str
) -> Iterator[tuple[Started | subprocess.Popen, Callable[[], str]]]:
    """`python -m core <arguments>` at work, and what it has printed so far."""
    told = jobs.child_environment() | environment
    with tempfile.TemporaryFile() as out:
        streams = out.fileno(), (err or sys.stderr).fileno()
        if warm := way():
            process = warm.start(arguments, told, *streams, cwd)
        else:
            process = subprocess.Popen(
                [sys.executable, "-m", "core", *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=streams[0], stderr=streams[1], cwd=cwd, env=told,
                preexec_fn=hear_control_c,
            )  # fmt: skip
        try:
            yield process, lambda: _text(out)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()


def hear_control_c() -> None:
    """Tests may run in the background of a shell, which makes its children deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _text(file: BinaryIO) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


def page(environment: dict[str, str]) -> list[str]:
    """Arguments of Python, before those of `app.py`: all that the page starts is forked. None if it has to be as ever."""
    warm = way()
    alike = warm and _read_at_import(environment) == _read_at_import(os.environ)
    return ["-m", "tests.warm", warm.address] if alike else []


@contextmanager
def forked() -> Iterator[None]:
    """What is started meanwhile of runs' acts, plans and looks at data is forked."""
    with pytest.MonkeyPatch.context() as patch:
        if warm := way():
            for module in STARTERS:
                patch.setattr(module, "subprocess", warm.module())
        yield


@pytest.fixture
def warm_jobs() -> Iterator[None]:
    """What a test starts of them is."""
    with forked():
        yield


def _read_at_import(environment: Mapping[str, str]) -> dict[str, str]:
    told = {**environment, **ONE_THREAD}
    return {name: value for name, value in told.items() if name.startswith(READ_AT_IMPORT)}


def _serve(address: str) -> None:
    """Fork a process for each request, until standard input ends; in each, come back."""
    waiting: dict[int, socket.socket] = {}

    def reap(*_: object) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                with suppress(OSError), waiting.pop(ended[0]) as connection:
                    connection.send(str(os.waitstatus_to_exitcode(ended[1])).encode())

    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(address)
    listener.listen(64)
    signal.signal(signal.SIGCHLD, reap)
    while True:
        if 0 in select.select([0, listener], [], [])[0]:
            os._exit(0)
        connection, _ = listener.accept()
        _, (asked, *streams), *_ = socket.recv_fds(connection, 1, 4)
        with os.fdopen(asked, "rb") as file:
            file.seek(0)
            arguments, environment, folder = json.loads(file.read())
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        pid = os.fork()
        if pid:
            waiting[pid] = connection
            connection.send(str(pid).encode())
        else:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        if not pid:
            for each in (listener, connection, *waiting.values()):
                each.close()
            _become(arguments, environment, streams, folder)
            return
        for each in streams:
            os.close(each)


def _become(arguments: list[str], environment: dict[str, str], streams: list[int], folder: str) -> None:
    os.setsid()
    hear_control_c()
    warnings.filterwarnings(
        "ignore", "Cyclopts application invoked without tokens"
    )  # it was: by what imported pytest
    for stream, descriptor in enumerate(streams):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["atelier", *arguments]


def _main(address: str) -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what nobody looks through stays shared
    _fork_children(address)  # what a verb starts is forked, too
    _serve(address)
    from core.cli import entry

    status = 1
    try:
        entry()
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException:
        traceback.print_exc()
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # taking all that was imported apart takes a second


def _fork_children(address: str) -> None:
    warm = Way(address, jobs.child_environment() | ONE_THREAD).module()
    for module in STARTERS:
        module.subprocess = warm


if __name__ == "__main__":
    address, *page = sys.argv[1:]
    if page:
        _fork_children(address)
        sys.argv = page
        runpy.run_path(page[0], run_name="__main__")
    else:
        _main(address)
