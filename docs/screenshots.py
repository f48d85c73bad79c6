"""Pictures of every page as it is now:  make screenshots

python docs/screenshots.py [--to docs/pictures] [--runs FOLDER] [--only runs chat-dark]

Trains two small runs on the sample data in a folder of their own (--runs keeps them for the next time), and opens each
page on them in Chromium. A picture is taken when its page has come to rest, whatever stands on it.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from core import presets
from core.runs import ENDED, RunStore, jobs
from core.spec import merge
from webui.render.parts import address

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "pictures"
RUN, OTHER = "tales", "tales-lora"
QUESTIONS = ("Whom did Alice follow down the hole?", "What is the capital of Italy?")
SETTINGS = {
    "data": {"files": ["sample:fables-en"]},
    "evaluate": {"prompts": QUESTIONS},
}
LORA = {"method": {"kind": "lora", "rank": 16}, "train": {"learning_rate": 5e-3}}
WIDE, NARROW = 1280, 400
RESTS = 2.0  # seconds in which nothing on a page changes
LONGEST = 40  # seconds that a page has for it
OPENS = 120  # seconds that the server has
BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb"]
# What there is to see on a page; empty while something is still on its way. Timers that change nothing do not count.
SEEN = """() => {
  const shown = name => [...document.querySelectorAll(name)].filter(each => each.checkVisibility());
  if (!shown('h1').length || shown('.waiting, .generating, .skeleton').length) return '';
  const lines = [...document.querySelectorAll('main svg path, main svg polyline')].length;
  return `${document.body.innerText} ${lines} ${document.images.length} ${document.body.scrollHeight}`;
}"""


@dataclass(frozen=True)
class Picture:
    """A page as somebody sees it: its address, the size of the window, and whose eyes and language."""

    path: str
    height: int = 900
    width: int = WIDE
    dark: bool = False
    language: str = "en-GB"


def pictures() -> dict[str, Picture]:
    """What is photographed, by the picture's name."""
    evaluate, publish, talk = (address(page, RUN) for page in ("evaluate", "publish", "chat"))
    run, compare = address("runs", RUN), f"./compare?run={RUN}&run={OTHER}"
    wide = {
        "data": Picture("./"),
        "train": Picture("./train", 1200),
        "runs": Picture("./runs"),
        "run": Picture(run, 1400),
        "evaluate": Picture(evaluate, 1200),
        "compare": Picture(compare, 1400),
        "chat": Picture(talk),
        "publish": Picture(publish, 1100),
    }
    others = {
        "run-dark": Picture(run, dark=True),
        "chat-dark": Picture(talk, dark=True),
        "train-narrow": Picture("./train", 800, NARROW),
        "run-narrow": Picture(run, 800, NARROW),
        "data-french": Picture("./", language="fr-FR"),
        "evaluate-french": Picture(evaluate, language="fr-FR"),
    }
    return wide | others


def main() -> None:
    parser = argparse.ArgumentParser(description="Take pictures of every page.")
    parser.add_argument("--to", type=Path, default=PICTURES, help="the folder for the pictures")
    parser.add_argument(
        "--runs", type=Path, help="a folder whose runs are used, and made where they are not there"
    )
    parser.add_argument("--only", nargs="+", choices=pictures(), help="some of the pictures")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore((chosen.runs or Path(folder) / "runs").resolve())
        train(store, RUN, {})
        train(store, OTHER, LORA)
        chosen.to.mkdir(parents=True, exist_ok=True)
        with serving(store, Path(folder)) as url, sync_playwright() as playwright:
            path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=path, args=BROWSER)
            for name, picture in pictures().items():
                if name in (chosen.only or pictures()):
                    photograph(browser, url, picture, chosen.to / f"{name}.png")
            browser.close()


def train(store: RunStore, name: str, layer: dict) -> None:
    if name in [run.name for run in store.all()]:
        return
    run = store.create(name, presets.resolve("tiny", overrides=merge(SETTINGS, layer)))
    jobs.start(run)
    while run.progress().state not in ENDED:
        time.sleep(1)
    if run.progress().state != "finished":
        raise SystemExit(f"{name} did not come to its end: {run.progress().message}")


@contextmanager
def serving(store: RunStore, folder: Path) -> Iterator[str]:
    port = free_port()
    page = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--runs", str(store.root)],
        cwd=HERE.parent,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home")},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/", page)
        yield f"http://127.0.0.1:{port}/"
    finally:
        page.terminate()
        page.wait()


def photograph(browser: Browser, url: str, picture: Picture, file: Path) -> None:
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme="dark" if picture.dark else "light",
        locale=picture.language,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(url + picture.path.removeprefix("./"))
    come_to_rest(page)
    if "chat" in picture.path:
        converse(page)
    page.screenshot(path=file, animations="disabled", caret="hide")
    context.close()
    print(file, flush=True)


def come_to_rest(page: Page) -> None:
    """A page that always changes is taken as it is after a while."""
    deadline = time.monotonic() + LONGEST
    seen, since = "", time.monotonic()
    while time.monotonic() < deadline:
        now = page.evaluate(SEEN)
        if now != seen or not now:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > RESTS:
            return
        page.wait_for_timeout(200)
    print(f"{page.url} has not come to rest.", file=sys.stderr)


def converse(page: Page) -> None:
    """Ask both models, so that there is something to see."""
    question = page.locator("#question textarea").first
    question.fill(QUESTIONS[0])
    question.press("Enter")
    page.wait_for_timeout(1000 * RESTS)
    come_to_rest(page)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + OPENS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"{url} did not open.")


if __name__ == "__main__":
    main()
