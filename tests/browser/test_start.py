"""Starting the page: soon, and with a sentence if it cannot."""

import subprocess
import sys

from tests.browser.conftest import ROOT


def test_a_taken_port_is_told_in_one_sentence(shown, tmp_path):
    done = subprocess.run(
        [sys.executable, "app.py", "--port", str(shown.port), "--runs", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip() == f"Port {shown.port} is in use; choose another with --port."
