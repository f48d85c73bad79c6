"""Asking another process for what needs torch or transformers, so that the page never loads them."""

import json
import subprocess
import sys
from typing import Any

from core.errors import UserError
from core.runs.jobs import child_environment


def ask(*arguments: str, token: str | None = None, timeout: float = 120) -> dict[str, Any]:
    """The object that `atelier <arguments> --json` prints; its one-sentence error comes back as UserError."""
    command = [sys.executable, "-m", "core", *arguments, "--json"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            env=child_environment(token),
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"`atelier {' '.join(arguments)}` did not answer within {timeout:.0f} seconds."
        ) from None
    if done.returncode == 0:
        return json.loads(done.stdout)
    if done.returncode == 2:
        raise UserError(done.stderr.strip() or f"`atelier {' '.join(arguments)}` could not be carried out.")
    raise RuntimeError(f"`atelier {' '.join(arguments)}` ended with status {done.returncode}:\n{done.stderr}")
