"""How soon the page is there after the command, and how soon it answers a click.

python benchmarks/clicks.py

In Chromium, which is found on the path, with two runs that are trained for a few steps first. A sign is the first change of
the page outside what was clicked; the answer is the first change of the place that the click is about.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from page import chromium, server  # the benchmark beside this one

from core import presets
from core.runs import ENDED, RunStore, jobs
from core.runs.events import BUSY

# Of the page that a newcomer meets: it can be pressed, and the page's own words have been filled in.
USABLE = """document.querySelector('#start:not([disabled])')
  && document.querySelector('#summary')?.innerText.includes('atelier train')"""
# What is clicked, on which page, and the place that it is about.
CLICKS = (
    ("Data: my own files", "/", "text=My own files", "#upload"),
    ("Train: another preset", "/train", "#preset label >> text=small", "#summary"),
    ("Train: all settings", "/train", "#all-settings button.label-wrap", "#search"),
    ("Runs: another run", "/runs/first", "a[data-run=second]", "#status"),
    ("Evaluate: its acts", "/evaluate/first", "#evaluate", "#status"),
    ("Chat: ask", "/chat/first", "#ask", "#talk"),
    ("Publish: what would be sent", "/publish/first", "#show-plan", "#plan"),
    ("Train: start", "/train", "#start", "#message"),
)
MEASURE = """(clicked, place) => new Promise(done => {
  const began = performance.now(), found = {sign: null, answer: null};
  const about = (node, added) => node.closest(place) || added.some(each => each.matches?.(place) || each.querySelector?.(place));
  const end = () => { observer.disconnect(); done(found); };
  const observer = new MutationObserver(records => {
    const now = performance.now() - began;
    for (const {target, addedNodes} of records) {
      const node = target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
      if (!node || node === document.body || clicked.contains(node)) continue;
      found.sign ??= now;
      if (about(node, [...addedNodes])) found.answer ??= now;
    }
    if (found.answer !== null) requestAnimationFrame(end);
  });
  observer.observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
  clicked.click();
  setTimeout(end, 5000);
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        store = RunStore(Path(folder) / "runs")
        for name in ("first", "second"):
            train(store, name)
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        seconds = [usable_in(store, browser) for _ in range(asked.times)]
        print(
            f"from the command to a page that can be pressed: median {statistics.median(seconds):.2f} s ({_all(seconds)})"
        )
        with server(store) as (url, _):
            print(f"{'click':<32} {'first sign':>12} {'answer':>12}   (median of {asked.times}, ms)")
            for what, address, selector, place in CLICKS:
                found = [clicked(browser, url + address, selector, place) for _ in range(asked.times)]
                print(f"{what:<32} {_median(found, 'sign'):>12} {_median(found, 'answer'):>12}", flush=True)
        for run in store.all():
            if run.progress().state in BUSY:
                jobs.stop(run, now=True)


def train(store: RunStore, name: str) -> None:
    few = {
        "data": {"files": ["sample:fables-en"]},
        "train": {"max_steps": 12, "evaluate_every": 6},
        "evaluate": {"answers": 2},
    }
    run = store.create(name, presets.resolve("tiny", overrides=few))
    jobs.start(run, "train")
    while run.progress().state not in ENDED:
        time.sleep(0.2)
    if run.progress().state != "finished":
        raise SystemExit(f"{name} was not trained: see {run.console}")


def usable_in(store: RunStore, browser) -> float:
    """Seconds from the command until the Train page can be pressed."""
    began = time.monotonic()
    with server(store) as (url, _):
        page = browser.new_page()
        page.goto(f"{url}/train", wait_until="commit")
        page.wait_for_function(USABLE, polling=20)
        seconds = time.monotonic() - began
        page.close()
    return seconds


def clicked(browser, url: str, selector: str, place: str) -> dict[str, float | None]:
    """Milliseconds from a click until something moves, and until its place does; None for what did not in five seconds."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    control = page.locator(selector).first
    control.wait_for()
    page.wait_for_timeout(2500)
    found = control.evaluate(MEASURE, place)
    page.close()
    return found


def _median(found: list[dict[str, float | None]], name: str) -> str:
    times = [each[name] for each in found]
    return "none" if None in times else f"{statistics.median(times):.0f}"


def _all(seconds: list[float]) -> str:
    return ", ".join(f"{each:.2f}" for each in seconds)


if __name__ == "__main__":
    main()
