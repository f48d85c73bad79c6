"""A process that can be told from every later one with the same pid, and ended together with its children."""

import contextlib
import time
from pathlib import Path

import psutil

GIVE_UP = 5.0  # seconds that a killed process is waited for


def born(pid: int) -> str:
    """When the process began, as a word that no other process with this pid has; empty if there is none.

    psutil's creation time moves with the clock: it is the boot's time plus ticks, and the boot's time is now minus
    uptime. Where /proc tells the ticks themselves they are taken, with the boot they are counted from, so that neither
    a clock that jumps nor another machine that shares the folder can make two processes one.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        try:
            return f"{psutil.Process(pid).create_time():.2f}"
        except psutil.NoSuchProcess:
            return ""
    state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return "" if state == "Z" else f"{boot}:{fields[18]}"


def lives(pid: int, since: str) -> bool:
    """Whether the very process that was born then is still there."""
    return bool(since) and born(pid) == since


def end(pid: int, since: str) -> bool:
    """Kill the process and all that it started, and wait for them; false if it is not there any more.

    Children are listed while their parent is held still, or one that it starts meanwhile would be left.
    """
    if not lives(pid, since):
        return False
    try:
        parent = psutil.Process(pid)
        parent.suspend()
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return False
    if not lives(pid, since):  # it ended, and its pid was taken, between the two looks
        with contextlib.suppress(psutil.NoSuchProcess):
            parent.resume()
        return False
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()  # psutil refuses where the pid has another owner by now
    deadline = time.monotonic() + GIVE_UP
    while time.monotonic() < deadline and any(_runs(each) for each in family):
        time.sleep(0.05)
    return True


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
