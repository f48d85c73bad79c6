"""Starting the page: soon, and with a sentence if it cannot, or if it is open to more people than one may think."""

import subprocess
import sys

import httpx
import pytest

from core.runs import RunStore
from tests.browser.conftest import ROOT, running
from tests.conftest import quick, until


def test_a_taken_port_is_told_in_one_sentence(shown, tmp_path):
    assert (
        refused(tmp_path, "--port", str(shown.port))
        == f"Port {shown.port} is in use; choose another with --port."
    )


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--auth", "ada"], "Account 1 of --auth, --auth-file and ATELIER_AUTH is not NAME:PASSWORD"),
        (["--auth", "../ada:plums"], "Account 1 of"),
        (["--auth", "ada:plums", "--auth", "ada:jars"], "ada has two passwords"),
        (["--auth", "ada:plums", "--auth", "poems:jars"], "poems cannot be an account here"),
        (["--auth-file", "nowhere.txt"], "--auth-file nowhere.txt cannot be read: No such file"),
        (["--max-upload", "much"], "--max-upload is 'much': write a number"),
    ],
)
def test_options_that_cannot_be_meant_are_told_in_one_sentence(tmp_path, options, sentence):
    RunStore(tmp_path).create("poems", quick())
    said = refused(tmp_path, *options)
    assert sentence in said and "plums" not in said and len(said.splitlines()) == 1


def refused(runs, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "app.py", "--runs", str(runs), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    return done.stderr.strip()


def test_a_page_that_listens_to_others_without_a_password_says_so(tmp_path):
    with running(tmp_path, options=["--host", "0.0.0.0"]) as app:
        until(lambda: "listens on 0.0.0.0" in app.log.read_text(), 10)
        assert "give it a password with --auth." in app.log.read_text()


def test_no_public_address_without_the_internet_is_one_sentence_and_the_page_is_open_here(tmp_path):
    nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), "http://127.0.0.1:1")
    offline = nowhere | dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    with running(tmp_path, offline, ["--share"]) as app:
        until(lambda: "no public address" in app.log.read_text(), 30)
        (told,) = [line for line in app.log.read_text().splitlines() if "no public address" in line]
        assert told.endswith(".") and "Traceback" not in app.log.read_text()
        assert httpx.get(app.url, trust_env=False).status_code == 200


def test_a_password_is_nowhere_that_other_processes_look(tmp_path):
    file = tmp_path / "accounts"
    file.write_text("# who may come in\nada:plums\n")
    with running(tmp_path, {"ATELIER_AUTH": "bob:jars"}, ["--auth-file", str(file)]) as app:
        page = {"trust_env": False, "timeout": 30}
        for name, password, status in (("ada", "plums", 200), ("bob", "jars", 200), ("ada", "jars", 400)):
            form = {"username": name, "password": password}
            assert httpx.post(f"{app.url}/login", data=form, **page).status_code == status
        listed = subprocess.run(
            ["ps", "-wwo", "args=", "-p", str(app.process.pid)], capture_output=True, text=True
        )
        assert "plums" not in listed.stdout + app.log.read_text() and "app.py" in listed.stdout


def test_a_file_that_is_too_large_is_refused(tmp_path):
    with running(tmp_path, options=["--max-upload", "1kb"]) as app:
        sent = {
            size: httpx.post(
                f"{app.url}/gradio_api/upload", files={"files": ("a.jsonl", b"x" * size)}, trust_env=False
            )
            for size in (900, 1100)
        }
        assert {size: answer.status_code for size, answer in sent.items()} == {900: 200, 1100: 413}
