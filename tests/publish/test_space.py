"""Atelier as a Space: what is pushed, what is not, and that it starts from what was pushed."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import PublishError
from core.publish import space
from tests.browser.conftest import App
from tests.hub import Hub
from tests.publish.pushing import COMMAND, Interpreter, Said
from tests.webui.people import Person

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "hf_" + "a1" * 17


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """This checkout's files in a git repository of their own, whatever git knows of them here."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for path in filter(None, listed.split("\0")):
        if (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    return folder


@pytest.fixture
def checkout(copied) -> Path:
    """The same, with what lies about in a folder that people work in."""
    for path, text in ((".venv/lib/x.py", ""), ("runs/poems/spec.yaml", ""), (".env", f"HF_TOKEN={TOKEN}")):
        (copied / path).parent.mkdir(parents=True, exist_ok=True)
        (copied / path).write_text(text)
    yield copied
    git(copied, "reset", "-q")
    git(copied, "add", "-A", "--", *space.NEEDED)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def interpreter(shared_hub, copied, tmp_path_factory) -> Iterator[Interpreter]:
    """In which the command is the checkout's."""
    environment = shared_hub.environment() | {"PYTHONPATH": str(copied)}
    interpreter = Interpreter(environment, tmp_path_factory.mktemp("interpreter") / "log", copied)
    yield interpreter
    interpreter.end()


@pytest.fixture
def hub(shared_hub) -> Hub:
    shared_hub.begin()
    return shared_hub


@pytest.fixture
def atelier(hub, checkout, interpreter):
    """The command, run out of that checkout."""

    def atelier(*arguments: str) -> Said:
        return Said(*interpreter.run(COMMAND, hub.writer, arguments=["space", "push", *arguments]))

    return atelier


def paths(hub, id: str = "ada/atelier") -> set[str]:
    return set(hub.repos["spaces", id].head.tree)


def test_a_pushed_space_is_what_git_knows_and_starts_from_that_alone(hub, checkout, tmp_path, atelier):
    hub.users["ada"].can_pay = True
    done = atelier("--hardware", "cpu-basic")
    assert done.returncode == 0, done.stderr
    repo = hub.repos["spaces", "ada/atelier"]
    assert repo.private and repo.sdk == "gradio" and repo.hardware == "cpu-basic"
    assert hub.requests("POST", "/commit/") == 1
    assert {"app.py", "README.md", "webui/style.css", "presets/tiny.yaml", "requirements.txt"} <= paths(hub)
    assert not [
        path for path in paths(hub) if path.startswith(("runs", ".venv", ".env", "tests", "benchmarks"))
    ]
    assert repo.head.tree["requirements.txt"].content == (checkout / "requirements.txt").read_bytes()

    folder = tmp_path / "cloned"
    for path, file in repo.head.tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(file.content)
    app = App(tmp_path, {}, root=folder)
    demo = app.store.root / ".demo" / "demo"
    demo.mkdir(parents=True)
    (demo / "spec.yaml").write_text("")
    app.environment = hub.register("ada/atelier", app.url).environment(hub) | {"PYTHONPATH": str(folder)}
    app.start()
    try:
        person = Person(app).sign_in(hub, "ada")
        assert "Signed in as <b>ada</b>" in str(person.call("greeting"))
    finally:
        app.close()


def test_a_second_push_brings_what_changed_and_takes_away_what_is_gone_in_one_commit(hub, checkout, atelier):
    hub.users["ada"].can_pay = True
    assert atelier("--no-private").returncode == 0
    old, new = checkout / "docs" / "old.md", checkout / "docs" / "new.md"
    try:
        old.write_text("Old.")
        git(checkout, "add", "-A", "docs")
        assert atelier().returncode == 0
        git(checkout, "mv", "docs/old.md", "docs/new.md")
        before = hub.requests("POST", "/commit/")
        done = atelier("--plan", "--json")
        assert (
            json.loads(done.stdout)["removed"] == ["docs/old.md"] and not json.loads(done.stdout)["private"]
        )
        assert atelier("--hardware", "t4-small").returncode == 0
        assert hub.requests("POST", "/commit/") == before + 1
        assert "docs/new.md" in paths(hub) and "docs/old.md" not in paths(hub)
        repo = hub.repos["spaces", "ada/atelier"]
        assert repo.hardware == "t4-small" and not repo.private
        assert atelier().returncode == 0 and repo.hardware == "t4-small"
    finally:
        new.unlink(missing_ok=True)


def test_hardware_that_the_plan_does_not_have_is_refused_in_a_sentence(hub, atelier):
    done = atelier()
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "needs a paid plan; a free account may have two on ZeroGPU: --hardware zero-a10g" in done.stderr
    assert ("spaces", "ada/atelier") not in hub.repos
    assert atelier("--hardware", "zero-a10g").returncode == 0
    done = atelier("--hardware", "a100-large")
    assert done.returncode == 2 and "A Space on a100-large needs a paid plan" in done.stderr


def test_a_space_of_something_else_is_left_alone(hub, atelier):
    from tests.hub.store import File

    repo = hub.add_repo("ada/garden", type="spaces")
    repo.commit(
        "main", repo.head.tree | {"app.py": File(b"1"), "plants.csv": File(b"2")}, "grow", author="ada"
    )
    done = atelier("--to", "ada/garden")
    assert done.returncode == 2 and "is a Space of something else" in done.stderr
    assert hub.requests("POST", "/commit/") == 0
    done = atelier("--to", "bob/atelier")
    assert done.returncode == 2 and "'bob' is somebody else" in done.stderr


def test_a_token_in_a_file_stops_the_push(checkout):
    file = checkout / "docs" / "notes.md"
    try:
        file.write_text(f"First.\n\nMy token is {TOKEN}.\n")
        with pytest.raises(PublishError, match="docs/notes.md is not in git"):
            space.files(checkout)
        git(checkout, "add", "docs/notes.md")
        with pytest.raises(PublishError, match="docs/notes.md, line 3, holds a token or a key") as raised:
            space.files(checkout)
        assert TOKEN not in str(raised.value)
    finally:
        file.unlink()


def test_a_link_out_of_the_checkout_is_not_followed(checkout):
    link = checkout / "docs" / "link.md"
    try:
        link.symlink_to("/etc/passwd")
        git(checkout, "add", "docs/link.md")
        with pytest.raises(PublishError, match="is a link"):
            space.files(checkout)
    finally:
        link.unlink()


def test_what_is_no_checkout_is_told_in_a_sentence(tmp_path):
    with pytest.raises(PublishError, match="pushed from a git checkout"):
        space.files(tmp_path)
