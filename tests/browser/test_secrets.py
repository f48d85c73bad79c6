"""A planted token, everything that is done with it, and then a search of everything: nothing keeps it but the environment."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from playwright.sync_api import expect

from core.runs.jobs import child_environment
from tests.browser.conftest import running
from tests.conftest import quick

# All that a browser keeps for a page: names and contents, as text.
KEPT = """async () => {
  const kept = [document.cookie, document.documentElement.outerHTML];
  for (const storage of [localStorage, sessionStorage]) kept.push(JSON.stringify({...storage}));
  for (const { name } of await indexedDB.databases()) {
    const base = await new Promise((done, fail) => {
      const asked = indexedDB.open(name);
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => fail(asked.error);
    });
    for (const store of base.objectStoreNames) {
      const asked = base.transaction(store).objectStore(store).getAll();
      await new Promise(done => { asked.onsuccess = done; asked.onerror = done; });
      kept.push(name + store + JSON.stringify(asked.result));
    }
    base.close();
  }
  for (const name of await caches.keys()) kept.push(name);
  kept.push(JSON.stringify(await navigator.serviceWorker.getRegistrations()));
  return kept;
}"""


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """Those of every process that lives meanwhile."""
    seen, over = set(), threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for process in psutil.process_iter(["cmdline"]):
                seen.add(" ".join(process.info["cmdline"] or ()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


@pytest.mark.slow
def test_a_planted_token_is_in_no_file_event_log_command_line_blob_or_browser(hub, tmp_path, context):
    token = hub.writer
    told = quick(
        {
            "train": {"max_steps": 4, "evaluate_every": 2},
            "method": {"kind": "lora", "rank": 4},
            "evaluate": {"after_training": False},
            "publish": {"to": "ada/tales", "what": "adapter", "checkpoints": True},
        }
    )
    environment = hub.environment(token) | {"GRADIO_TEMP_DIR": str(tmp_path / "gradio")}
    with command_lines() as commands, running(tmp_path, environment) as app:
        app.store.create("told", told)
        trained = subprocess.run(
            [sys.executable, "-m", "core", "resume", "told", "--runs", str(app.store.root)],
            env=child_environment() | environment, capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        assert trained.returncode == 0, trained.stdout + trained.stderr
        page = context.new_page()
        page.goto(f"{app.url}/publish/told")
        expect(page.locator("#account")).to_contain_text("Publishing as ada", timeout=60_000)
        hub.fault("POST", "/commit/", 403, message=f"{token} may not.")
        page.click("#show-plan")
        expect(page.locator("#plan")).to_contain_text("adapter_model.safetensors")
        page.click("#publish")
        expect(page.locator("#retry")).to_be_visible(timeout=90_000)
        page.click("#retry")
        expect(page.locator("#status")).to_contain_text("Published", timeout=90_000)
        kept = page.evaluate(KEPT)
        kept += [str(context.cookies()), str(context.storage_state())]
        page.goto(f"{app.url}/runs/told")
        expect(page.locator("#status")).to_contain_text("Published")
        kept += page.evaluate(KEPT)
    repo = hub.repos["models", "ada/tales"]
    assert "checkpoints" in repo.branches and "adapter_model.safetensors" in repo.head.tree
    secret = token.encode()
    assert any("core work" in each for each in commands) and not [each for each in commands if token in each]
    assert token not in trained.stdout + trained.stderr + "".join(kept)
    blobs = {path: file.content for commit in repo.commits.values() for path, file in commit.tree.items()}
    assert blobs and not [path for path, content in blobs.items() if secret in content]
    assert not [name for name, content in repo.objects.items() if secret in content]
    assert not [commit.title for commit in repo.commits.values() if token in commit.title + commit.message]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    for name in ("events.jsonl", "console.log", "push.json", "app.log"):
        assert any(path.name == name for path in files), f"{name} was not searched"
    assert not [path for path in files if secret in path.read_bytes()]
