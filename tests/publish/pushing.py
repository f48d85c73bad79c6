"""Pushes by the real client, in an interpreter of their own, against the hub of these tests."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hub import Hub

ROOT = Path(__file__).parents[2]

# The client reads its settings when it is imported, so pushes happen in an interpreter of their own. One
# serves all tests, as starting it takes longer than any push. Pauses are noted instead of slept.
CHILD = """
import json, os, sys, time, traceback
from pathlib import Path
from core.errors import PublishError
from core.publish import hub

pauses = []
time.sleep = pauses.append

def carry_out(call):
    said, answer, sentence = [], None, None
    pauses.clear()
    try:
        if ask := call.pop("ask", None):
            answer = getattr(hub, ask)(**call)
            answer = [vars(answer[0]), answer[1]] if ask == "prepare" else answer
        elif "uploads" in call:
            files = {path: Path(source) for path, source in call["uploads"].items()}
            files |= {path: file.read_bytes() for path, file in files.items() if path == "README.md"}
            call["uploads"] = [hub.Upload(path, source) for path, source in files.items()]
            answer = vars(hub.push(**call, report=said.append))
        else:
            answer = hub.check_rights(**call)
    except PublishError as error:
        traceback.print_exc()
        sentence = str(error)
    return {"answer": answer, "sentence": sentence, "said": said, "pauses": pauses[:]}

for line in sys.stdin:
    job = json.loads(line)
    hub.ANSWER_SECONDS = hub.WORK_SECONDS = job["answer_seconds"]
    os.environ["HF_TOKEN"] = job["token"] or ""
    print(json.dumps([carry_out(call) for call in job["calls"]]), flush=True)
"""


@dataclass
class Outcome:
    answer: Any  # what Pushed or check_rights says; None if it failed
    sentence: str | None
    said: list[str]
    pauses: list[float]


class Child:
    def __init__(self, hub: Hub, log: Path, **environment: str):
        self.hub = hub
        self.log = log  # whatever it prints beside its answers, tracebacks included
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            env=os.environ | hub.environment() | environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )

    def run(self, *calls: dict[str, Any], token: str | None, answer_seconds: float = 20) -> list[Outcome]:
        self.process.stdin.write(
            json.dumps({"calls": calls, "token": token, "answer_seconds": answer_seconds}) + "\n"
        )
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        for secret in self.hub.tokens:
            assert secret not in answer + self.log.read_text()
        assert answer, self.log.read_text()
        return [Outcome(**outcome) for outcome in json.loads(answer)]

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


LOOP = """
import contextlib, json, os, sys

for line in sys.stdin:
    asked = json.loads(line)
    os.environ["HF_TOKEN"] = asked["token"]
    names = asked["names"]
    with contextlib.redirect_stdout(sys.stderr):
        exec(asked["script"], names)
    print(json.dumps(names["answer"]), flush=True)
"""


class Interpreter:
    """Another Python, for the same reason, which carries out one script after the other."""

    def __init__(self, environment: dict[str, str], log: Path, folder: Path = ROOT):
        self.log = log  # whatever the scripts print
        self.process = subprocess.Popen(
            [sys.executable, "-c", LOOP],
            env=os.environ | environment | {"HF_TOKEN": ""},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )

    def run(self, script: str, token: str, **names: Any) -> Any:
        """What the script, which knows these names, leaves in `answer`."""
        self.process.stdin.write(json.dumps({"script": script, "token": token, "names": names}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.log.read_text()
        assert not token or token not in answer + self.log.read_text()
        return json.loads(answer)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


# What the command says, in an interpreter that has its words as `arguments`.
COMMAND = """
import io
from contextlib import redirect_stderr, redirect_stdout
from core.cli import main

with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
    answer = [main(arguments)]
answer += [out.getvalue(), err.getvalue()]
"""


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str
