"""How fast the Runs page draws a long run, and what its viewers cost the server.

python benchmarks/page.py                          a run of 100,000 logged steps, drawn in Chromium
python benchmarks/page.py --viewers 20             ... and 20 viewers of one run that takes four steps a second

The run is written down as a trainer would have, not trained. Chromium is found on the path.
"""

import argparse
import dataclasses
import json
import math
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core import presets
from core.runs import Run, RunStore
from core.runs.events import Begun, Event, Finished, HeldOut, Started, Stepped, Trained

ROOT = Path(__file__).resolve().parent.parent
DRAWN = "document.querySelector('[data-chart=loss] path.line.prussian:not(.raw)')?.getAttribute('d')?.length > 1000"
CLICKED = """() => new Promise(done => {
  const began = performance.now();
  const before = document.querySelector('[data-chart=loss] path.line.prussian:not(.raw)').getAttribute('d');
  document.querySelector('a[data-run=long]').click();
  const look = () => document.querySelector('#status h2').textContent === 'long'
    && document.querySelector('[data-chart=loss] path.line.prussian:not(.raw)').getAttribute('d').length > 1000
    && document.querySelector('[data-chart=loss] path.line.prussian:not(.raw)').getAttribute('d') !== before
    ? requestAnimationFrame(() => done((performance.now() - began) / 1000)) : requestAnimationFrame(look);
  look();
})"""
STEPS_PER_SECOND = 4
WARM_UP, WATCHED = 5.0, 20.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        write_run(store, "long", asked.steps)
        live = write_run(store, "live", 2000, ended=False)
        with server(store) as (url, process):
            print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            seconds = drawn_in(f"{url}/runs/long", asked.times)
            print(f"{asked.steps:,} steps drawn, from the request of the page: first {seconds[0]:.2f} s, "
                  f"then {statistics.median(seconds[1:] or seconds):.2f} s")  # fmt: skip
            print(
                f"... and in a page that is open, from the click on its name: {opened_in(url, asked.times):.2f} s"
            )
            with working(live), live.lock:
                for viewers in (0, 1, asked.viewers):
                    share, mean = watched(url, process, "live", viewers)
                    print(f"{viewers:>3} viewers: {share:.3f} of one core, {mean * 1000:.1f} ms an answer")


def write_run(store: RunStore, name: str, steps: int, ended: bool = True) -> Run:
    run = store.create(name, presets.resolve("tiny"))
    chance, now = random.Random(1), time.time()
    total = steps if ended else 100_000
    with run.events.path.open("w", encoding="utf-8") as file:

        def say(event: Event) -> None:
            file.write(
                json.dumps({"event": type(event).__name__.lower(), **dataclasses.asdict(event)}) + "\n"
            )

        say(Started(act="train", pid=os.getpid(), device="cpu"))
        say(Begun(total_steps=total))
        for number in range(1, steps + 1):
            say(step(number, total, now, chance))
            if number % 1000 == 0:
                say(HeldOut(at=now, step=number, loss=3 - number / total, token_accuracy=0.5))
        if ended:
            say(Trained())
            say(Finished(act="train", output="final"))
    return run


def step(number: int, total: int, at: float, chance: random.Random) -> Stepped:
    return Stepped(
        at=at,
        step=number,
        epoch=number / 1000,
        loss=5 * math.exp(-3 * number / total) + chance.random() / 3,
        learning_rate=1e-3 * (1 - number / total),
        gradient_norm=1 + chance.random(),
        tokens_per_second=1000 + 50 * chance.random(),
        memory_bytes=10**9 + number,
        eta_seconds=(total - number) / STEPS_PER_SECOND,
        tokens=1000 * number,
    )


@contextmanager
def server(store: RunStore):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port), "--runs", str(store.root)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if "is open at" not in process.stdout.readline():
            raise SystemExit("the page did not start")
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def chromium():
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def drawn_in(url: str, times: int) -> list[float]:
    """Seconds from the request of the page until the curve is there; the first time nobody has read the run before."""
    seconds = []
    with chromium() as browser:
        for _ in range(times):
            page = browser.new_page()
            began = time.monotonic()
            page.goto(url, wait_until="commit")
            page.wait_for_function(DRAWN, polling=20)
            seconds.append(time.monotonic() - began)
            page.close()
    return seconds


def opened_in(url: str, times: int) -> float:
    """Seconds from a click on the long run's name until its curve is there, in a page that shows another run."""
    seconds = []
    with chromium() as browser:
        for _ in range(times):
            page = browser.new_page()
            page.goto(f"{url}/runs/live")
            page.wait_for_function(DRAWN, polling=20)
            page.wait_for_timeout(1000)
            seconds.append(page.evaluate(CLICKED))
            page.close()
    return statistics.median(seconds)


@contextmanager
def working(run: Run):
    """The run takes its steps, as if it were trained."""
    done, chance = threading.Event(), random.Random(2)

    def work() -> None:
        number = 2001
        while not done.wait(1 / STEPS_PER_SECOND):
            run.events.append(step(number, 100_000, time.time(), chance))
            number += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def watched(url: str, process: psutil.Process, run: str, viewers: int) -> tuple[float, float]:
    """The server's share of one core while so many look, each asking as a page asks; and seconds until an answer."""
    done, answers = threading.Event(), []
    component = component_of(url)
    threads = [
        threading.Thread(target=look, args=(url, component, run, n / max(viewers, 1), done, answers))
        for n in range(viewers)
    ]
    for thread in threads:
        thread.start()
    time.sleep(WARM_UP)
    answers.clear()
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(WATCHED)
    share = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
    done.set()
    for thread in threads:
        thread.join()
    return share, statistics.mean(answers) if answers else 0.0


def component_of(url: str) -> int:
    """Of what answers to runs.js."""
    with urllib.request.urlopen(f"{url}/config") as answer:
        components = json.load(answer)["components"]
    return next(each["id"] for each in components if "news" in (each["props"].get("server_fns") or ()))


def look(
    url: str, component: int, run: str, offset: float, done: threading.Event, answers: list[float]
) -> None:
    """As webui/runs.js does it: once a second, and what is there already is not sent again."""
    import httpx

    asked = {"run": run, "at": "", "log": None, "fresh": False, "curves": {}}
    done.wait(offset)
    with httpx.Client() as client:
        while not done.is_set():
            began = time.monotonic()
            body = {
                "data": asked,
                "component_id": component,
                "fn_name": "news",
                "session_hash": f"viewer{offset}",
            }
            news = client.post(f"{url}/gradio_api/component_server", json=body).raise_for_status().json()
            answers.append(time.monotonic() - began)
            asked["at"], curves = news["at"], news["curves"]
            if curves:
                last = curves["from"] + len(curves["step"]) - 1
                asked["curves"] = {name: curves[name] for name in ("version", "size", "begin")} | {
                    "next": last
                }
            done.wait(1)


if __name__ == "__main__":
    main()
