"""Several people with passwords: what is one's is nobody else's, and one alone has what the shell has."""

import gradio as gr
import pytest

from core.errors import RunError, UserError
from core.runs import RunStore
from tests.conftest import quick
from tests.webui.answering import answering
from webui import accounts
from webui.chosen import FRESH, overrides
from webui.programs.acts import asked
from webui.shared import SAMPLE, Shared


def asking(name: str | None):
    return answering(gr.Request(username=name))


@pytest.fixture
def shared(tmp_path) -> Shared:
    return Shared.of_environment(RunStore(tmp_path / "runs"), ["ada", "bob"])


def test_runs_uploads_and_data_sets_of_one_are_not_there_for_the_other(shared, tmp_path):
    file = tmp_path / "diary.jsonl"
    file.write_text("{}\n")
    with asking("ada"):
        shared.store.create("poems", quick())
        kept = shared.keep(str(file))
        assert shared.files([kept]) == [kept]
    with asking("bob"):
        assert shared.store.all() == [] and shared.sets.names() == []
        with pytest.raises(RunError):
            shared.run("poems")
        with pytest.raises(UserError, match="not among the files brought to this page"):
            shared.files([kept])
        assert shared.talks.run_name is None


@pytest.mark.parametrize(
    "way", ["{root}/ada/poems/final", "{root}/bob/../ada/poems", "lm-eval:{root}/ada/task.yaml"]
)
def test_a_setting_that_names_a_folder_of_somebody_elses_is_refused(shared, way):
    named = way.format(root=shared.accounts._root)
    with asking("bob"):
        for values in ({"model": {"base": named}}, {"evaluate": {"tasks": [named]}}):
            with pytest.raises(UserError, match="somebody else's runs"):
                shared.own(values)
    with asking("bob"):
        values = {"model": {"base": f"{shared.accounts._root}/bob/mine/final"}}
        assert shared.own(values) is values


@pytest.mark.parametrize("way", ["file://{root}/ada/poems", "x:{root}/bob/a:{root}/ada/poems"])
def test_a_folder_of_somebody_elses_is_refused_within_other_words_too(shared, way):
    root = shared.accounts._root
    with asking("bob"):
        with pytest.raises(UserError, match="somebody else's runs"):
            shared.own({"model": {"base": way.format(root=root)}})
        shared.own({"model": {"base": f"file://{root}/bob/mine"}, "publish": {"to": f"{root}-of-others/x"}})


def test_a_task_is_no_file_of_the_servers_nor_code_for_lm_eval(shared, tmp_path):
    file = tmp_path / "task.yaml"
    file.write_text("{}\n")
    with asking("bob"):
        kept = shared.keep(str(file))
        for name in ("/etc/passwd", str(file), f"lm-eval:{file}", f"lm-eval:{kept}"):
            with pytest.raises(UserError, match=r"not among the files|which can run any code"):
                overrides(shared, FRESH, {"evaluate.tasks": name})
            with pytest.raises(UserError, match=r"not among the files|which can run any code"):
                asked(shared, [SAMPLE], "tiny", {"evaluate.tasks": [name]})
        fine = [kept, "held-out", "lm-eval:hellaswag"]
        assert overrides(shared, FRESH, {"evaluate.tasks": "\n".join(fine)})["evaluate"]["tasks"] == fine
        assert list(asked(shared, [SAMPLE], "tiny", {"evaluate.tasks": fine})[0].evaluate.tasks) == fine


@pytest.mark.parametrize("name", [None, "eve", "../ada"])
def test_who_has_no_account_has_nothing(shared, name):
    with asking(name), pytest.raises(UserError, match="Sign in first"):
        shared.store.all()


def test_one_account_alone_has_what_the_shell_has(tmp_path):
    store = RunStore(tmp_path / "runs")
    store.create("poems", quick())
    shared = Shared.of_environment(store, ["ada"])
    with asking("ada"):
        assert [run.name for run in shared.store.all()] == ["poems"]


def test_passwords_come_from_three_places_and_are_not_left_for_other_processes(tmp_path, monkeypatch):
    file = tmp_path / "accounts"
    file.write_text("# friends\n\nbob:with: colon and space\n")
    monkeypatch.setenv("ATELIER_AUTH", "cid:jars dan:plums")
    read = accounts.read(["ada:x"], file)
    assert read == {"ada": "x", "bob": "with: colon and space", "cid": "jars", "dan": "plums"}
    assert accounts.read((), None) == {}
