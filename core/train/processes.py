"""Several processes for one training: the job starts, watches and ends them; and what each of them does.

python -m core rank runs/poems                                  one of them, started by the job
accelerate launch --num_machines 2 ... -m core rank runs/poems  the same, started by hand on several machines
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from core.errors import RunError, SpecError, TrainError, UserError
from core.runs.events import Queued
from core.runs.store import Run
from core.spec import RunSpec

LED = "ATELIER_LED"  # set in a process that a job started and waits for
KILLED = -9  # the status of a process that a signal ended which nobody can answer
LOOK = 0.1  # seconds between looks at whether one has ended
FAREWELL = 2.0  # seconds in which one that failed writes down of what


def check(spec: RunSpec, gpus: int) -> None:
    """SpecError if processes, machines, strategy and method cannot go together where each machine has so many GPUs."""
    compute, method = spec.compute, spec.method.kind
    on_gpus = compute.device == "cuda" or (compute.device == "auto" and gpus > 0)
    several, strategy = compute.processes, compute.strategy
    each = several // compute.machines
    if several % compute.machines:
        raise SpecError(
            f"compute.processes ({several}) counts those on all machines together, and is no multiple of compute.machines "
            f"({compute.machines}): give each machine equally many."
        )
    if strategy != "ddp" and several == 1:
        raise SpecError(
            f"compute.strategy {strategy} shares the weights between processes, and compute.processes is 1: raise it, "
            "or leave compute.strategy at ddp."
        )
    if on_gpus and several > 1 and each > gpus:
        share = f"compute.processes is {several}" + (
            f", {each} on each machine" if compute.machines > 1 else ""
        )
        raise SpecError(
            f"{share}, and each takes a GPU, of which {gpus or 'none'} can be seen here: lower it, or share them among several "
            "machines with compute.machines."
        )
    if strategy == "ddp":
        return
    if strategy == "deepspeed" and not on_gpus:
        raise SpecError("compute.strategy deepspeed needs GPUs: take fsdp or ddp on a processor.")
    if method == "qlora":
        raise SpecError(
            f"compute.strategy {strategy} cannot share the 4-bit weights of method.kind qlora: take ddp, where each process "
            "holds them whole, or method.kind lora."
        )
    if spec.train.optimizer in ("adamw_8bit", "adafactor"):
        raise SpecError(
            f"train.optimizer {spec.train.optimizer} cannot be shared by compute.strategy {strategy}, under which adamw's "
            "memory is shared already: leave train.optimizer to the plan."
        )
    if strategy == "deepspeed" and spec.train.batch_size % several:
        raise SpecError(
            f"compute.strategy deepspeed wants equal shares, and train.batch_size ({spec.train.batch_size}) is no multiple of "
            f"compute.processes ({several}): change one of them."
        )


def train(run: Run) -> bool:
    """Train with all processes; false if it was stopped on the way. Called by the job, which holds the run.

    Raises what the first of them to fail died of: TrainError with its sentence, or OutOfMemoryError.
    """
    import torch

    spec, gpus = run.spec, torch.cuda.device_count()
    count = spec.compute.processes
    shutil.rmtree(_failures(run), ignore_errors=True)
    if not _started_outside():
        check(spec, gpus)
        _launch(run, count)
        return run.final.is_dir()
    check(spec, count if gpus else 0)  # other machines have the others
    try:
        return _train_as_rank(run)
    except (MemoryError, RuntimeError) as error:  # torch.distributed's, when another is gone
        time.sleep(FAREWELL)
        failure = _first_failure(run)
        told = _as_error(failure, count) if failure else error
        if isinstance(told, MemoryError | torch.OutOfMemoryError):
            # Nobody here can start the others again.
            told = TrainError(f"{told} Start the processes again: less is computed at once then.")
        raise told from error


def be_rank(folder: Path) -> int:
    """Be one of the processes; returns the exit status.

    RunError if nobody said which one. Started by hand, the first of them holds the run and is its job, too.
    """
    run = Run(folder)
    if LED in os.environ:
        return _be_led(run)
    if not _started_outside():
        raise RunError(
            "`rank` is one of several processes, started by `accelerate launch` or torchrun; `atelier resume` starts a run."
        )
    if os.environ["RANK"] == "0":
        from core.runs.jobs import work

        signal.signal(signal.SIGTERM, _ended)
        run.withdraw()
        run.events.append(Queued(act="train"))
        return work(run, "train", {})
    if not run.final.is_dir():
        with _remembering(run):
            _train_as_rank(run)
    return 0


def _ended(*_: Any) -> NoReturn:
    """What started the processes ends them all when one has failed."""
    raise RuntimeError(
        "The processes were ended by what had started them, as it does when one of them is gone."
    )


def _started_outside() -> bool:
    """By `accelerate launch` or torchrun, which say so in the environment."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


# In the job


def _launch(run: Run, count: int) -> None:
    """Start the processes and wait for them; none of them is left when it returns or raises."""
    store = _meeting_point()
    processes = []
    try:
        for rank in range(count):
            processes.append(_start(run, rank, count, store.port))
        while any(process.poll() is None for process in processes):
            if any(process.poll() for process in processes):
                break
            time.sleep(LOOK)
        statuses = [process.poll() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if any(statuses):
        raise _what_happened(_first_failure(run), statuses)


def _meeting_point() -> Any:
    """Where the processes find each other: a store of this process, on a port that nobody else has, seen by no other machine."""
    from torch.distributed import TCPStore

    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    return TCPStore(
        "127.0.0.1", port, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach()
    )


def _start(run: Run, rank: int, count: int, port: int) -> subprocess.Popen:
    import torch

    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    environment = (
        os.environ
        | {
            LED: str(os.getpid()),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is the job's; otherwise rank 0 would open another one
            "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // count)),
        }
    )
    environment.setdefault("GLOO_SOCKET_IFNAME", loopback)
    environment.setdefault("NCCL_SOCKET_IFNAME", loopback)
    process = subprocess.Popen(
        [sys.executable, "-m", "core", "rank", str(run.folder.resolve())],
        stdin=subprocess.PIPE,  # never written to: it closes when this process ends, however that happens
        stdout=subprocess.PIPE if rank else None,
        stderr=subprocess.STDOUT if rank else None,
        env=environment,
    )
    if rank:
        threading.Thread(target=_retell, args=(process.stdout, rank), daemon=True).start()
    return process


def _retell(lines: Iterator[bytes], rank: int) -> None:
    """Print what another than the main process prints, so that it can be told apart."""
    for line in lines:
        print(f"[{rank + 1}] {line.decode('utf-8', 'replace').rstrip()}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Failure:
    """What one process died of, in its own words."""

    rank: int
    at: float
    sentence: str
    expected: bool  # a UserError: the sentence is whole
    memory: bool


def _what_happened(failure: Failure | None, statuses: Sequence[int | None]) -> Exception:
    """The first failure: the others fail of it, with words that explain nothing."""
    killed = [rank for rank, status in enumerate(statuses) if status == KILLED]
    if killed:  # it could say nothing, and those that waited for it only that it is gone
        return TrainError(
            f"{_place(killed[0], len(statuses))} was killed, as a machine does that has no memory left. Train a new run with a "
            "smaller train.micro_batch_size or train.max_length, or with fewer compute.processes."
        )
    if failure is None:
        rank, status = next((rank, status) for rank, status in enumerate(statuses) if status)
        return TrainError(
            f"{_place(rank, len(statuses))} ended with status {status} and no word; what it printed is in console.log."
        )
    return _as_error(failure, len(statuses))


def _as_error(failure: Failure, count: int) -> Exception:
    import torch

    if failure.expected:
        return TrainError(failure.sentence)
    sentence = f"{_place(failure.rank, count)} failed. {failure.sentence}"
    return torch.OutOfMemoryError(sentence) if failure.memory else TrainError(sentence)


def _place(rank: int, count: int) -> str:
    return f"Process {rank + 1} of {count}"


# In each of the processes


def _be_led(run: Run) -> NoReturn:
    _end_with_the_job()
    with _remembering(run):
        _train_as_rank(run)
    _end(0)


def _end(status: int) -> NoReturn:
    """End this process without the interpreter's good-bye, in which a thread of torch's own that is still at work aborts
    it: what it had to do is done, or cannot be done any more."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _train_as_rank(run: Run) -> bool:
    import torch

    from core.train.distributed import ranks
    from core.train.job import train_here
    from core.train.model import device_for

    spec, count = run.spec, int(os.environ["WORLD_SIZE"])
    if count != spec.compute.processes:
        raise TrainError(
            f"{count} processes were started for a run whose compute.processes is {spec.compute.processes}: start as many."
        )
    if LED not in os.environ and "OMP_NUM_THREADS" not in os.environ:
        beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, torch.get_num_threads() // beside))
    ranks.join(device_for(spec))
    finished = train_here(ranks.shared(run), spec)
    ranks.leave()  # not after a failure: it would wait for those that are gone
    return finished


def _end_with_the_job() -> None:
    """End this process when the job does, however that was ended: nobody would read what it makes."""

    def watch() -> None:
        os.read(0, 1)  # nothing comes, until the other end is closed
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _remembering(run: Run) -> Iterator[None]:
    """If it fails, say of what where the job looks, and end at once: a good-bye would wait for the others."""
    try:
        yield
    except BaseException as error:
        traceback.print_exc()
        _remember(run, error)
        _end(1)


def _remember(run: Run, error: BaseException) -> None:
    from core.runs.jobs import explain
    from core.train.memory import ran_out

    expected = isinstance(error, UserError)
    failure = Failure(
        rank=int(os.environ["RANK"]),
        at=time.time(),
        sentence=str(error) if expected else explain(error, run),
        expected=expected,
        memory=ran_out(error),
    )
    folder = _failures(run)
    folder.mkdir(exist_ok=True)
    beside = folder / f"{failure.rank}.partial"
    beside.write_text(json.dumps(asdict(failure)), "utf-8")
    beside.replace(folder / f"{failure.rank}.json")


def _first_failure(run: Run) -> Failure | None:
    found = [Failure(**json.loads(path.read_text("utf-8"))) for path in _failures(run).glob("*.json")]
    return min(found, key=lambda failure: failure.at, default=None)


def _failures(run: Run) -> Path:
    return run.folder / ".failures"
