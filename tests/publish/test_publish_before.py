"""Before a training begins that is to be published, it is known whether the push would be let in, and said in a sentence."""

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.publish import before
from core.runs.jobs import child_environment
from core.spec import RunSpec
from tests.conftest import LORA, quick
from tests.hub import Hub
from tests.publish.pushing import Interpreter

TO = {"publish": {"to": "ada/tales"}}


@pytest.fixture(scope="module")
def interpreters(tmp_path_factory) -> Iterator[Callable[[dict[str, str]], Interpreter]]:
    """One for each environment, but for the token."""
    made: dict[str, Interpreter] = {}

    def interpreter(environment: dict[str, str]) -> Interpreter:
        key = json.dumps(environment)
        if key not in made:
            made[key] = Interpreter(environment, tmp_path_factory.mktemp("interpreter") / "log")
        return made[key]

    yield interpreter
    for each in made.values():
        each.end()


@pytest.fixture
def hub(shared_hub: Hub) -> Hub:
    shared_hub.begin()
    return shared_hub


@pytest.fixture
def ask(interpreters):
    """What a script leaves in `answer`, in an interpreter with that environment."""

    def ask(spec: RunSpec, environment: dict[str, str], script: str) -> Any:
        others = {name: value for name, value in environment.items() if name != "HF_TOKEN"}
        script = PREPARE + textwrap.dedent(script)
        return interpreters(others).run(script, environment["HF_TOKEN"], values=spec.model_dump(mode="json"))

    return ask


PREPARE = """
import time
from pathlib import Path
from core.errors import UserError
from core.publish import before
from core.spec import RunSpec
spec = RunSpec.from_dict(values)
"""
CHECK = """
began = time.monotonic()
try:
    answer = [[each.about, each.text, each.warning] for each in before.check(spec, {arguments})]
except UserError as error:
    answer = [str(error), time.monotonic() - began]
"""


@pytest.fixture
def check(ask):
    def check(spec: RunSpec, environment: dict[str, str], arguments: str = "") -> Any:
        return ask(spec, environment, CHECK.replace("{arguments}", arguments))

    return check


def test_the_repository_is_made_private_before_the_training_and_only_once(hub, check):
    first = check(quick(TO), hub.environment(hub.writer))
    assert first == [["repository", "ada/tales was made, private, and ada may write to it.", False]]
    second = check(quick(TO), hub.environment(hub.writer))
    assert second[0][1] == "ada/tales is there, and ada may write to it."
    assert hub.repos["models", "ada/tales"].private and hub.requests("POST", "/repos/create") == 1


def test_a_plan_makes_nothing(hub, check):
    found = check(quick(TO), hub.environment(hub.writer), "create=False")
    assert "is not there yet; it will be made, private, by ada" in found[0][1]
    assert not hub.repos and {entry.method for entry in hub.log} == {"GET"}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids every request"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "http://127.0.0.1:9 cannot be reached"),
    ],
)
def test_offline_is_said_at_once_and_not_after_a_minute(hub, environment, words, check):
    sentence, seconds = check(quick(TO), hub.environment(hub.writer) | environment)
    assert sentence.startswith("ada/tales cannot be published to") and words in sentence
    assert seconds < 6 and "\n" not in sentence


def test_a_base_that_must_be_asked_for_is_named_with_the_page_where(hub, check):
    hub.add_repo("lab/base", private=False).gated = True
    sentence, _ = check(quick(TO, {"model": {"base": "lab/base"}}), hub.environment(hub.writer))
    assert f"ask at {hub.url}/lab/base, then begin again" in sentence
    hub.repos["models", "lab/base"].gated = False
    found = check(quick(TO, {"model": {"base": "lab/base"}}), hub.environment(hub.writer))
    assert ["base", "The base lab/base is open to this token.", False] in found
    none, _ = check(quick(TO, {"model": {"base": "lab/none"}}), hub.environment(hub.writer))
    assert "There is no base lab/none on the Hub that this token may see" in none


def test_a_token_that_ends_before_the_training_is_said_with_both_times(hub, check):
    token = hub.add_token("ada", role="oauth")
    hub.tokens[token].expires = time.time() + 3 * 3600
    short, long = (
        check(quick(TO), hub.environment(token), f"eta_seconds={hours * 3600}") for hours in (2, 5)
    )
    assert short[1][1].startswith("The token lives for 3.0 hours") and not short[1][2]
    assert "lives for 3.0 hours more, and the training takes about 5.0 hours" in long[1][1] and long[1][2]


def test_no_room_for_the_merged_model_is_a_warning_with_the_number(hub, tmp_path, check):
    spec = quick(TO, {"publish": {"to": "ada/tales", "what": "merged"}})
    found = check(spec, hub.environment(hub.writer), f"folder=Path({str(tmp_path)!r}), model_bytes=10**18")
    assert found[-1][0] == "disk" and found[-1][2] and "takes 1000000000.0 GB" in found[-1][1]


def test_a_training_that_could_not_be_published_does_not_begin_and_one_that_goes_on_is_only_warned(hub, ask):
    answer = ask(
        quick(TO),
        hub.environment(hub.reader),
        """
        notes, told = before.at_start(spec, None, again=True)
        try:
            before.at_start(spec, None, again=False)
        except UserError as error:
            answer = [str(error), [each.text for each in notes], [each.warning for each in notes], told]
        """,
    )
    assert "may only read" in answer[0] and answer[0].endswith(before.WITHOUT)
    assert "may only read" in answer[1][0] and answer[2] == [True] and answer[3] == {}


def test_on_a_space_the_spaces_own_token_is_never_tried(hub, ask):
    script = "notes, told = before.at_start(spec, None, again=False)\nanswer = [each.text for each in notes]"
    [said] = ask(quick(TO), hub.environment(hub.writer) | {"SPACE_ID": "ada/space"}, script)
    assert "Nobody is signed in" in said and hub.log == []


def test_a_training_knows_better_than_the_estimate_whether_its_token_lives_long_enough(monkeypatch):
    monkeypatch.setenv(before.EXPIRES, str(time.time() + 3600))
    assert before.warn_of_token(600, 20) == []
    [warning] = before.warn_of_token(7200, 20)
    assert warning.step == 20 and "without training again" in warning.text
    monkeypatch.delenv(before.EXPIRES)
    assert before.warn_of_token(1e9, 20) == []


def test_the_plan_in_the_shell_shows_what_publishing_would_find(hub, tmp_path):
    command = [sys.executable, "-m", "core", "plan", "sample:fables-en", "--publish.to", "ada/tales"]
    done = subprocess.run(
        [*command, "--method.kind", LORA["method"]["kind"], "--runs", str(tmp_path)],
        capture_output=True, text=True, timeout=120, env=child_environment() | hub.environment(hub.writer),
    )  # fmt: skip
    assert "Publishing:\n· ada/tales is not there yet" in done.stdout, done.stdout + done.stderr
    assert not hub.repos
