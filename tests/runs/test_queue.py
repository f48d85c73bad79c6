"""Who is next, whatever clocks say; which accelerator a job takes; and how the line is changed."""

import os
import threading

import pytest

from core.errors import RunError
from core.runs import queue
from core.runs.events import Queued, Started
from core.runs.store import Run
from core.spec import ComputeSettings
from tests.conftest import bystander, quick, until

LISTED = """GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5c2d)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-77aa)
  MIG 1g.10gb     Device  0: (UUID: MIG-0d1e)
  MIG 1g.10gb     Device  1: (UUID: MIG-0d1f)
"""


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(queue, "gpus", lambda: ("0", "1"))


def lined_up(store, name, at=1.0, **compute) -> Run:
    """A run whose process lives and waits, as far as anybody can see."""
    run = store.create(name, quick({"compute": compute}))
    queue.line_up(run)
    run.events.append(Queued(act="train", at=at))
    run.set_process(bystander())
    return run


def line(store) -> list[str]:
    return [run.name for run in queue.waiting((run, run.progress()) for run in store.all())]


class Waiting(threading.Thread):
    """A job that takes its turn and holds it until told."""

    def __init__(self, run: Run) -> None:
        super().__init__(daemon=True)
        self.run_, self.held, self.done = run, None, threading.Event()
        self.start()

    def run(self) -> None:
        with queue.Turn(self.run_) as held:
            self.held = held
            if held:
                self.run_.events.append(Started(act="train", pid=os.getpid(), device=",".join(held)))
            self.done.wait(60)


def test_gpus_are_named_as_cuda_names_them_and_divided_ones_by_their_parts():
    assert queue.listed_gpus(LISTED) == ("0", "MIG-0d1e", "MIG-0d1f")
    assert queue.listed_gpus("No devices found.") == ()


@pytest.mark.parametrize(
    "version, visible, found",
    [
        ("2.13.0+cpu", "0,1", ()),
        ("2.13.0", "2, 3", ("2", "3")),
        ("2.13.0", "", ()),
        ("2.13.0", "-1", ()),
    ],
)
def test_what_a_job_may_use_is_what_cuda_would_show_it(monkeypatch, version, visible, found):
    monkeypatch.setattr(queue.importlib.metadata, "version", lambda name: version)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert queue.gpus.__wrapped__() == found


def test_a_run_takes_an_accelerator_for_each_process_and_the_processor_whole(two_gpus):
    assert queue.needs(ComputeSettings()) == (("0", "1"), 1)
    assert queue.needs(ComputeSettings(processes=2)) == (("0", "1"), 2)
    assert queue.needs(ComputeSettings(processes=2, device="cpu")) == (("cpu",), 1)
    with pytest.raises(RunError, match="compute.processes is 3, and there are 2 GPUs"):
        queue.needs(ComputeSettings(processes=3))


def test_the_order_is_that_of_asking_though_the_clock_jumped_back(store):
    for name, at in (("first", 9e9), ("second", 1.0), ("third", 5e8)):
        lined_up(store, name, at)
    assert line(store) == ["first", "second", "third"]


@pytest.mark.parametrize(
    "to, order",
    [
        ("first", ["c", "a", "b", "d"]),
        ("last", ["a", "b", "d", "c"]),
        ("earlier", ["a", "c", "b", "d"]),
        ("later", ["a", "b", "d", "c"]),
        ("a", ["c", "a", "b", "d"]),
        ("d", ["a", "b", "c", "d"]),
        ("c", ["a", "b", "c", "d"]),
    ],
)
def test_a_waiting_run_can_be_moved(store, to, order):
    for name in "abcd":
        lined_up(store, name)
    queue.move(store.get("c"), store.get(to) if len(to) == 1 else to)
    assert line(store) == order


def test_only_a_run_that_waits_can_be_moved(store):
    waiting, working = lined_up(store, "a"), lined_up(store, "b")
    working.events.append(Started(act="train", pid=os.getpid()))
    for run, to in ((working, "first"), (waiting, working)):
        with pytest.raises(RunError, match="'b' does not wait"):
            queue.move(run, to)


def test_each_gpu_has_one_job_and_the_next_in_line_takes_the_first_that_is_free(store, two_gpus):
    jobs = [Waiting(lined_up(store, name)) for name in "abc"]
    until(lambda: jobs[0].held and jobs[1].held, 10)
    assert {jobs[0].held, jobs[1].held} == {("0",), ("1",)} and jobs[2].held is None
    freed = jobs[1].held
    jobs[1].done.set()
    until(lambda: jobs[2].held, 10)
    assert jobs[2].held == freed
    for job in jobs:
        job.done.set()
        job.join(10)


def test_nobody_overtakes_a_run_that_waits_for_both_gpus_but_one_on_the_processor_does_not_wait(
    store, two_gpus
):
    one = Waiting(lined_up(store, "one"))
    until(lambda: one.held, 10)
    both = Waiting(lined_up(store, "both", processes=2))
    small, plain = Waiting(lined_up(store, "small")), Waiting(lined_up(store, "plain", device="cpu"))
    until(lambda: plain.held == ("cpu",), 10)
    assert both.held is None and small.held is None
    one.done.set()
    until(lambda: both.held, 10)
    assert both.held == ("0", "1") and small.held is None
    both.done.set()
    until(lambda: small.held, 10)
    for job in (small, plain):
        job.done.set()
        job.join(10)


def test_a_run_that_died_while_it_waited_holds_nobody_up(store):
    dead = lined_up(store, "dead")
    dead._write("process", '{"pid": 1, "born": "another boot:1"}')
    assert dead.progress().state == "lost"
    job = Waiting(lined_up(store, "next"))
    until(lambda: job.held == ("cpu",), 10)
    job.done.set()
    job.join(10)


def test_a_job_sees_only_the_accelerators_that_it_holds(monkeypatch, two_gpus):
    for held, seen in ((("1",), "1"), (("0", "1"), "0,1"), (("cpu",), "")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "untouched")
        queue.use(held)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == seen
    monkeypatch.setattr(queue, "gpus", tuple)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    queue.use(("cpu",))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"  # of another make, which torch shows as CUDA's
