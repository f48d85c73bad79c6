"""What is said of the command `atelier` is what a shell finds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.commands import ROOT, how_to_call

pytestmark = pytest.mark.skipif(os.name == "nt", reason="asks a POSIX shell")


@pytest.fixture
def environment(tmp_path, monkeypatch) -> Path:
    """The programs of one, in the folder of work, that nothing has activated."""
    programs = tmp_path / "my .venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "activate").write_text(f"PATH='{programs}':$PATH\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return programs


def install(programs: Path) -> None:
    command = programs / "atelier"
    command.write_text("#!/bin/sh\necho found\n")
    command.chmod(0o755)


def typed(first: str, then: str) -> str:
    return subprocess.run(["bash", "-c", f"{first}\n{then}"], capture_output=True, text=True).stdout.strip()


def test_where_it_is_installed_but_not_on_the_path_what_is_said_lets_a_shell_find_it(
    environment, monkeypatch
):
    install(environment)
    first = how_to_call().partition(": ")[2]
    assert first == "source 'my .venv/bin/activate'" and typed(first, "atelier") == "found"
    monkeypatch.setenv("PATH", f"{environment}:/usr/bin:/bin")
    assert how_to_call() == ""


def test_where_it_cannot_be_activated_or_is_not_installed_what_is_said_stands_for_it(environment):
    assert how_to_call().endswith(f" in the folder {ROOT}: 'my .venv/bin/python' -m core")
    install(environment)
    (environment / "activate").unlink()
    assert typed(how_to_call().partition(": ")[2], "") == "found"
