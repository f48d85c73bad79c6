"""A process is known by its pid and its birth, and ended with all that it started."""

import os
import subprocess
import sys
import time

import psutil

from core.runs import process
from tests.conftest import until

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_process_is_ended_with_its_children_even_those_in_a_session_of_their_own():
    parent = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    birth = process.born(parent.pid)
    assert process.lives(parent.pid, birth)
    assert process.end(parent.pid, birth)
    assert not process.lives(parent.pid, birth)
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE, 5)
    parent.wait()
    parent.stdout.close()


def test_another_process_that_got_the_pid_is_left_alone():
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        assert not process.end(other.pid, "another boot:12345")
        assert not process.end(other.pid, "")
        assert other.poll() is None and psutil.Process(other.pid).status() != psutil.STATUS_STOPPED
    finally:
        other.kill()
        other.wait()


def test_a_birth_is_the_same_at_every_look_and_not_that_of_the_clock(monkeypatch):
    birth = process.born(os.getpid())
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(psutil, "boot_time", lambda: 0.0)
    assert process.born(os.getpid()) == birth and birth


def test_nobody_has_no_birth():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert process.born(gone.pid) == "" and not process.lives(gone.pid, "")
