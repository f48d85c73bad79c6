"""Jobs: machines listed, jobs made, looked at, followed and canceled. The command of a job is really run, as a process of
this machine in an empty folder: with the secrets in its environment, in reach of this hub, and with a `uv` that finds all
packages installed.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.hub.store import now
from tests.hub.wire import HubError, Reply, Request, Routes

if TYPE_CHECKING:
    from tests.hub.server import Hub

routes = Routes()

OVER = ("COMPLETED", "ERROR", "CANCELED")
# `uv run [options] python ...`, in a machine where everything is installed.
UV = """#!{python}
import os, sys
rest = sys.argv[2:]
while rest and rest[0] != "python":
    rest = rest[2:] if rest[0] in ("--with", "--with-requirements") else rest[1:]
os.execv({python!r}, [{python!r}, *rest[1:]])
"""


@dataclass
class Job:
    id: str
    namespace: str
    spec: dict[str, Any]
    made: str = field(default_factory=now)
    began: float = 0.0
    ended: float = 0.0
    stage: str = "SCHEDULING"
    message: str | None = None
    log: list[dict[str, str]] = field(default_factory=list)
    process: subprocess.Popen | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def running_seconds(self) -> int:
        return int((self.ended or time.time()) - self.began) if self.began else 0

    def say(self, line: str) -> None:
        with self.changed:
            self.log.append({"data": line, "timestamp": now()})
            self.changed.notify_all()

    def end(self, stage: str, message: str | None = None) -> None:
        """The first word counts: a job that was canceled is not completed by its process's end."""
        with self.changed:
            if self.stage not in OVER:
                self.stage, self.message, self.ended = stage, message, time.time()
            self.changed.notify_all()
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def run(self, hub: "Hub") -> None:
        """Be the machine, until the command has ended or the time is over."""
        with tempfile.TemporaryDirectory(prefix="hub-job-") as folder:
            tools = Path(folder, "tools")
            tools.mkdir()
            (tools / "uv").write_text(UV.format(python=sys.executable))
            (tools / "uv").chmod(0o755)
            home = Path(folder, "work")
            home.mkdir()
            environment = {
                "PATH": f"{tools}:/usr/bin:/bin",
                "HOME": folder,
                "JOB_ID": self.id,
                "OMP_NUM_THREADS": "1",
                **(hub.environment() | {"HF_HOME": f"{folder}/hf"}),
                **self.spec["environment"],
                **self.spec.get("secrets", {}),
            }
            self.say("===== Job started at a time =====")
            self.process = subprocess.Popen(
                hub.job_command or self.spec["command"],
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            with self.changed:
                if self.stage == "SCHEDULING":
                    self.stage, self.began = "RUNNING", time.time()
            seconds = hub.job_seconds or self.spec.get("timeoutSeconds", 30 * 60)
            ending = threading.Timer(seconds, self.end, ("ERROR", "Job timeout"))
            ending.start()
            for line in self.process.stdout:
                self.say(line.decode("utf-8", "replace").rstrip("\n"))
            status = self.process.wait()
            ending.cancel()
            self.end("ERROR" if status else "COMPLETED", f"Exit code {status}" if status else None)

    def described(self, hub: "Hub") -> dict[str, Any]:
        spec = self.spec
        return {
            "id": self.id,
            "createdAt": self.made,
            "startedAt": moment(self.began) if self.began else None,
            "dockerImage": spec["dockerImage"],
            "command": spec["command"],
            "arguments": spec["arguments"],
            "environment": spec["environment"],
            "secrets": {name: None for name in spec.get("secrets", {})},
            "flavor": spec["flavor"],
            "labels": spec.get("labels", {}),
            "owner": {"id": f"id-{self.namespace}", "name": self.namespace, "type": "user"},
            "status": {"stage": self.stage, "message": self.message},
            "durations": {
                "schedulingSecs": 0 if self.began else None,
                "runningSecs": self.running_seconds,
                "totalSecs": self.running_seconds,
            },
        }


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def machine(
    name: str, title: str, cpu: int, ram: int, usd: float, gpu: tuple[str, int, int] | None = None
) -> dict:
    found = {
        "name": name,
        "prettyName": title,
        "cpu": f"{cpu} vCPU",
        "ram": f"{ram} GB",
        "ephemeralStorage": "50 GB",
        "unitCostMicroUSD": round(usd / 60 * 1e6),
        "unitCostUSD": usd / 60,
        "unitLabel": "minute",
    }
    if gpu:
        model, count, vram = gpu
        known = {
            "type": "gpu",
            "model": model,
            "quantity": str(count),
            "vram": f"{vram} GB",
            "manufacturer": "Nvidia",
        }
        found["accelerator"] = known
    return found


HARDWARE = [
    machine("cpu-basic", "CPU Basic", 2, 16, 0.01),
    machine("cpu-upgrade", "CPU Upgrade", 8, 32, 0.03),
    machine("t4-small", "Nvidia T4 - small", 4, 15, 0.4, ("T4", 1, 16)),
    machine("a10g-small", "Nvidia A10G - small", 4, 15, 1.0, ("A10G", 1, 24)),
    machine("a10g-largex4", "4x Nvidia A10G - large", 48, 184, 5.0, ("A10G", 4, 96)),
    machine("h200", "Nvidia H200", 23, 256, 5.0, ("H200", 1, 141)),
]


@routes("GET", "/api/jobs/hardware")
def list_hardware(hub: "Hub", request: Request) -> Reply:
    return Reply(HARDWARE)


@routes("POST", "/api/jobs/{namespace}")
def create(hub: "Hub", request: Request, namespace: str) -> Reply:
    user = allowed(hub, request, namespace)
    if hub.credit <= 0:
        raise HubError(402, "Pre-paid credit balance is insufficient.")
    spec = request.json()
    if spec["flavor"] not in [each["name"] for each in HARDWARE]:
        raise HubError(400, f"Invalid flavor: {spec['flavor']}")
    for name, text in spec.get("labels", {}).items():
        if not all(c.isalnum() or c in "-_" for c in name + text) or len(text) > 100:
            raise HubError(400, f"Invalid label: {name}={text}")
    job = Job(secrets.token_hex(12), namespace or user, spec)
    hub.jobs[job.id] = job
    threading.Thread(target=job.run, args=(hub,), daemon=True).start()
    return Reply(job.described(hub))


@routes("GET", "/api/jobs/{namespace}")
def list_jobs(hub: "Hub", request: Request, namespace: str) -> Reply:
    allowed(hub, request, namespace)
    labels = dict(label.split("=", 1) for label in request.parameters("label"))
    return Reply(
        [
            job.described(hub)
            for job in hub.jobs.values()
            if job.namespace == namespace and labels.items() <= job.spec.get("labels", {}).items()
        ]
    )


@routes("GET", "/api/jobs/{namespace}/{id}")
def inspect(hub: "Hub", request: Request, namespace: str, id: str) -> Reply:
    return Reply(known(hub, request, namespace, id).described(hub))


@routes("POST", "/api/jobs/{namespace}/{id}/cancel")
def cancel(hub: "Hub", request: Request, namespace: str, id: str) -> Reply:
    known(hub, request, namespace, id).end("CANCELED")
    return Reply({})


@routes("GET", "/api/jobs/{namespace}/{id}/logs")
def log(hub: "Hub", request: Request, namespace: str, id: str) -> Reply:
    """All lines from the first, then those to come, until the job has ended."""
    job = known(hub, request, namespace, id)

    def events() -> Iterator[bytes]:
        sent = 0
        while not hub.stopping.is_set():
            with job.changed:
                if sent == len(job.log) and job.stage not in OVER:
                    job.changed.wait(0.5)
                lines, over = job.log[sent:], job.stage in OVER
            for line in lines:
                yield f"data: {json.dumps(line)}\n\n".encode()
            sent += len(lines)
            if over and not lines:
                return

    return Reply(events(), headers={"Content-Type": "text/event-stream"})


def allowed(hub: "Hub", request: Request, namespace: str) -> str:
    token = hub.require(request)
    if token.role == "read" or not token.user.writes_in(namespace):
        raise HubError(403, f"This token may not use jobs in {namespace}.")
    return token.user.name


def known(hub: "Hub", request: Request, namespace: str, id: str) -> Job:
    allowed(hub, request, namespace)
    job = hub.jobs.get(id)
    if job is None or job.namespace != namespace:
        raise HubError(404, "Job not found")
    return job
