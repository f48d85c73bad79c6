"""Pictures of every page as it is now:  make screenshots

Trains the tiny preset on the sample data in a folder of its own, and opens each page on it in Chromium.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

from core import presets
from core.runs import ENDED, RunStore, jobs

HERE = Path(__file__).parent
RUN = "fables-en-1"
PAGES = {
    "data": ("/", "text=Will it stop?"),
    "train": ("/train", "text=The same in a shell"),
    "runs": (f"/runs?run={RUN}", "#curves svg"),
    "evaluate": (f"/evaluate?run={RUN}", "text=Row by row"),
    "publish": (f"/publish?run={RUN}", "#run"),
}
BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        run = store.create(RUN, presets.resolve("tiny", overrides={"data": {"files": ["sample:fables-en"]}}))
        jobs.start(run)
        while run.progress().state not in ENDED:
            time.sleep(1)
        port = free_port()
        page = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port), "--runs", str(store.root)],
            cwd=HERE.parent,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/")
            photograph(f"http://127.0.0.1:{port}")
        finally:
            page.terminate()
            page.wait()


def photograph(url: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=BROWSER)
        for name, (path, sign) in PAGES.items():
            view = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
            view.goto(url + path)
            view.locator(sign).first.wait_for(timeout=60_000)
            view.wait_for_timeout(1500)
            view.screenshot(path=HERE / f"{name}.png", full_page=name in ("train", "runs"))
            view.close()
        browser.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"{url} did not open.")


if __name__ == "__main__":
    main()
