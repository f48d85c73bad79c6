"""What programs may ask for: that it is documented, and what on a Space is whose."""

import inspect
import re
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.errors import RunError, UserError
from core.runs.jobs import DOWNLOADS
from tests.browser.conftest import ROOT
from tests.conftest import quick
from tests.webui.people import Person, contents
from tests.webui.test_visitors import SECRET, ada, asking, bob, place, shared, space  # noqa: F401 (fixtures)
from webui import page, programs, visitors
from webui.intake.reading import Readings
from webui.page import build
from webui.programs import runs
from webui.programs.acts import acts
from webui.programs.data import Data
from webui.programs.mcp import EXTRA, welcome_mcp
from webui.programs.reference import reference
from webui.programs.talking import conversation
from webui.programs.training import Training
from webui.shared import Limits, Shared

DOCUMENTED = Path(ROOT, "docs", "programs.md").read_text("utf-8")
ACTS = {name: act for group in programs.GROUPS.values() for name, act in acts(group)}


def test_the_reference_is_what_the_docstrings_say():
    assert DOCUMENTED.endswith("# Reference\n\n" + reference() + "\n"), (
        "replace what stands after `# Reference` in docs/programs.md by what `python -m webui.programs` prints"
    )


def test_programs_see_the_acts_and_no_event_of_a_page(store):
    page = build(Shared(store))
    page.config = page.get_config_file()  # as it does when it is launched
    info = page.get_api_info()
    assert set(info["named_endpoints"]) == {f"/{name}" for name in ACTS} and not info["unnamed_endpoints"]
    for name, endpoint in info["named_endpoints"].items():
        assert endpoint["description"] and f"### {name[1:]}\n" in DOCUMENTED
        parameters = inspect.getdoc(ACTS[name[1:]])
        for each in endpoint["parameters"]:
            assert re.search(rf"^ +{each['parameter_name']}: \S", parameters, re.MULTILINE), (name, each)
    assert "__i18n__" not in str(info)


def test_a_conversation_is_taken_apart_into_turns():
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": "I."},
        {"role": "user", "content": "Why?"},
    ]
    system, turns, question = conversation(said, "base")
    assert (system, question) == ("Be brief.", "Why?")
    assert [(turn.question, turn.answers["base"].text) for turn in turns] == [("Who?", "I.")]


@pytest.mark.parametrize("roles", ["", "a", "ua", "uu", "us", "uau a", "s", "sa", "aus"])
def test_messages_that_are_no_conversation_are_refused(roles):
    names = {"u": "user", "a": "assistant", "s": "system"}
    with pytest.raises(RunError, match="must be a conversation that ends with a question"):
        conversation([{"role": names.get(each, each), "content": "x"} for each in roles], "tuned")


def test_mcp_is_refused_in_one_sentence_where_it_cannot_be_had(monkeypatch):
    with pytest.raises(UserError, match="let in whoever has no password"):
        welcome_mcp(signing_in=True)
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(UserError, match=f"not installed: pip install {EXTRA}$"):
        welcome_mcp(signing_in=False)
    assert EXTRA in Path(ROOT, "requirements-extras.txt").read_text()


def test_tools_are_not_offered_at_a_public_address(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "build", lambda *_, **__: pytest.fail("the page was built"))
    where = {"host": "127.0.0.1", "port": 0, "root_path": "", "share": True}
    with pytest.raises(UserError, match="--mcp does not go with --share: anybody who has the public address"):
        page.launch(tmp_path, **where, browser=False, passwords={}, limits=Limits(2**20, 9), mcp=True)


# On a Space


def test_every_act_is_known_to_the_gate():
    """One that is missing counts as a job, and is for nobody who has not signed in."""
    jobs = {
        "train",
        "resume",
        "evaluate",
        "compare_with_retrieval",
        "merge",
        "export",
        "publish",
        "retry_publishing",
    }
    assert set(ACTS) - set(visitors.NO_JOB) == jobs and set(visitors.LOOKING) <= set(ACTS)


def asked(person: Person, act: str, **given) -> str:
    """What the act answers, as text."""
    return str(person.call(act, *(given.get(each, default) for each, default in _parameters(act))))


def _parameters(name: str) -> list[tuple]:
    every = list(inspect.signature(ACTS[name]).parameters.values())[1:]
    return [(each.name, None if each.default is each.empty else each.default) for each in every]


def test_who_has_not_signed_in_may_look_at_the_demo_and_do_nothing(place):  # noqa: F811
    stranger, before = Person(place.app), contents(place.demo.folder)
    assert "demo" in asked(stranger, "runs") and "train" in asked(stranger, "run", run="demo")
    for name in set(ACTS) - set(visitors.FOR_EVERYONE):
        given = {
            "run": "demo",
            "files": ["sample:fables-en"],
            "text": "{}",
            "to": "first",
            "documents": ["x"],
        }
        assert "Sign in with your Hugging Face account first" in asked(stranger, name, **given), name
    assert contents(place.demo.folder) == before


@pytest.mark.parametrize("name", ["secret", "../ada/secret"])
def test_no_act_shows_or_changes_what_is_somebody_elses(place, bob, name):  # noqa: F811
    before = contents(place.run.folder.parent)
    theirs = [str(place.upload), str(place.run.console)]
    for act in ACTS:
        given = {
            "run": name,
            "runs": [name, name],
            "files": theirs,
            "documents": theirs,
            "tasks": theirs,
            "name": "mine",
        }
        given |= {
            "file": {"path": theirs[0], "meta": {"_type": "gradio.FileData"}},
            "text": "{}",
            "to": "first",
        }
        answer = asked(bob, act, **given)
        assert SECRET not in answer and (
            act not in ("run", "log", "delete") or "There is no run" in answer
        ), act
    assert contents(place.run.folder.parent) == before


def test_ones_own_is_there_for_ones_own_program(place, ada):  # noqa: F811
    assert SECRET in asked(ada, "run", run="secret") and SECRET in asked(ada, "log", run="secret")
    assert "nothing else on its disk" in asked(
        ada, "train", files=["sample:fables-en"], settings={"model.base": "/etc"}
    )


def test_what_is_fetched_for_a_visitor_is_fetched_in_their_name_and_lies_with_them(shared, monkeypatch):  # noqa: F811
    begun_with = []

    def begun(*_, env, **__):
        begun_with.append((env.get("HF_HOME"), env.get("HF_TOKEN")))
        raise UserError("This is far enough.")

    monkeypatch.setattr("core.children.subprocess", SimpleNamespace(Popen=begun, DEVNULL=None))
    with asking("ada"):
        save = partial(Data(shared).save_data, "tales")
        for act in (Data(shared).check_data, save, Training(shared).plan, partial(_read, shared)):
            with pytest.raises(UserError, match="far enough"):
                act(["sample:fables-en"])
        assert begun_with == 4 * [(str(shared.store.root.resolve() / DOWNLOADS), "hf_of_ada")]


def _read(of: Shared, files: list[str]) -> None:
    """As the Data page does."""
    list(Readings().answer("page", "?", ["data", "check", *files], **of.hub()))


def test_of_a_log_no_more_is_told_than_a_page_can_hold(store, monkeypatch):
    monkeypatch.setattr(runs, "MOST_OF_A_LOG", 4)
    run = store.create("poems", quick())
    run.console.write_text("one\ntwo\n")
    act = runs.Runs(Shared(store)).log
    assert (act("poems", 10**12), act("poems", 2), act("poems", -1)) == ("two\n", "o\n", "")
