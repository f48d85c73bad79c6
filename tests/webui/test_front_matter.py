"""The README's front matter, which is a Space's configuration: the Hub reads it, and says little where it is wrong."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
# Of the keys that the Hub knows, those that are used here, with their types.
KEYS = {
    "title": str, "emoji": str, "colorFrom": str, "colorTo": str, "sdk": str, "sdk_version": str, "python_version": str,
    "app_file": str, "license": str, "short_description": str, "startup_duration_timeout": str, "disable_embedding": bool,
    "hf_oauth": bool, "hf_oauth_scopes": list, "hf_oauth_expiration_minutes": int,
}  # fmt: skip


@pytest.fixture(scope="module")
def matter() -> dict:
    text = (ROOT / "README.md").read_text("utf-8")
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)[1])


def test_every_key_is_one_that_the_hub_knows_and_has_its_type(matter):
    assert {key: type(value) for key, value in matter.items()} == KEYS


def test_values_are_among_those_that_the_hub_takes(matter):
    assert {matter["colorFrom"], matter["colorTo"]} <= COLORS
    assert len(matter["short_description"]) <= 60
    assert matter["sdk"] == "gradio" and (ROOT / matter["app_file"]).is_file()
    assert re.fullmatch(r"\d+[smh]", matter["startup_duration_timeout"])


def test_a_space_installs_the_gradio_and_runs_the_python_that_were_tried(matter):
    pins = dict(re.findall(r"(?m)^([\w.-]+)==([\w.]+)", (ROOT / "requirements.txt").read_text()))
    assert matter["sdk_version"] == pins["gradio"]
    needed = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    assert matter["python_version"] == needed


def test_no_more_is_asked_of_a_visitor_than_is_used(matter):
    assert matter["hf_oauth"] is True
    assert matter["hf_oauth_scopes"] == ["contribute-repos", "read-repos", "jobs"]
    assert 8 * 60 <= matter["hf_oauth_expiration_minutes"] <= 43_200


def test_the_provider_of_the_tests_registers_a_space_for_the_same(matter):
    from tests.hub.oauth import Space

    space = Space("ada/atelier", "http://127.0.0.1")
    assert space.scopes.split() == ["openid", "profile", *matter["hf_oauth_scopes"]]
    assert space.token_seconds == matter["hf_oauth_expiration_minutes"] * 60
