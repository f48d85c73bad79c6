"""The page's server as programs use it: the real one, asked by the real gradio_client, and a real MCP client."""

import asyncio
import functools
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, AuthenticationError

from core.runs import RunStore
from core.runs.events import BUSY
from tests.browser.conftest import App, begin, running
from tests.conftest import quick, until
from webui import programs
from webui.programs.acts import acts

ROWS = [
    {"question": f"What is in jar {number}?", "answer": f"Jar {number} holds plums."} for number in range(24)
]
QUICK = {
    "train.max_steps": 6,
    "train.evaluate_every": 3,
    "evaluate.answers": 2,
    "evaluate.max_new_tokens": 4,
    "compute.threads": 1,
}


class Program:
    """Acts by name: `program.train(files=[...])`."""

    def __init__(self, app: App, auth: tuple[str, str] | None = None) -> None:
        self.client = Client(app.url, auth=auth, verbose=False)

    def __getattr__(self, act: str) -> Callable:
        return lambda **given: self.client.predict(api_name=f"/{act.rstrip('_')}", **given)

    def refused(self, act: str, **given) -> str:
        """The sentence with which it is."""
        with pytest.raises(AppError) as refusal:
            getattr(self, act)(**given)
        return str(refusal.value)


@pytest.fixture
def program(app) -> Iterator[Program]:
    program = Program(app)
    yield program
    program.client.close()  # or the server would wait for it to leave


@pytest.fixture(scope="module")
def looking(shown) -> Iterator[Program]:
    program = Program(shown)
    yield program
    program.client.close()


@pytest.mark.slow
def test_a_program_goes_from_a_file_to_answers(program, tmp_path):
    file = tmp_path / "jars.jsonl"
    file.write_text("\n".join([*map(json.dumps, ROWS), "{'question': 'not JSON'}"]))

    kept = program.keep_file(file=handle_file(file))["file"]
    seen = program.check_data(files=[kept])
    assert (seen["kept"], seen["problems"][0]["line"]) == (24, 25)
    plan = program.plan(files=[kept], settings=QUICK)
    assert plan["total_steps"] == 6 and plan["refusal"] is None
    run = program.train(files=[kept], settings=QUICK)["run"]
    assert run == "jars-1"
    until(lambda: program.run(run=run)["state"] not in BUSY)

    told = program.run(run=run)
    assert (told["state"], told["step"], told["message"]) == ("finished", 6, "")
    assert told["settings"]["train"]["max_steps"] == 6
    assert program.curves(run=run, after_step=4)["training"]["step"] == [5, 6]
    assert [task["name"] for task in program.scores(run=run)["tasks"]] != []
    asked = {"run": run, "messages": [{"role": "user", "content": "Who?"}], "max_new_tokens": 4, "seed": 1}
    answer = program.ask(**asked)
    assert answer["ended"] in ("turn", "length") and answer["tokens"] <= 4
    assert program.ask(**asked)["text"] == answer["text"] != ""
    program.unload()
    published = program.plan_publishing(run=run, to="ada/jars")["files"]
    assert "model.safetensors" in {file["name"] for file in published}
    assert program.rename(run=run, name="jars")["run"] == "jars"
    program.note(run="jars", words="The first one.")
    assert program.run(run="jars")["note"] == "The first one."
    assert program.delete(run="jars") == {"deleted": "jars"} and program.runs() == []


def test_a_training_is_paused_continued_and_stopped_by_a_program(app, program):
    begin(app, "long", 5_000)
    until(lambda: program.run(run="long")["step"] > 0)
    program.pause(run="long")
    until(lambda: program.run(run="long")["state"] == "paused")
    assert program.queue()["running"][0]["run"] == "long"
    program.continue_(run="long")
    until(lambda: program.run(run="long")["state"] == "running")
    program.stop(run="long")
    until(lambda: program.run(run="long")["state"] == "stopped")
    assert program.run(run="long")["resumable"]


def test_what_is_wrong_is_one_sentence(looking):
    tales = ["sample:fables-en"]
    wrong = looking.refused("train", files=tales, settings={"train": {"learning_rat": 1}})
    assert wrong == "There is no setting 'train.learning_rat'. Did you mean 'train.learning_rate'?"
    assert "There is no preset 'huge'" in looking.refused("train", files=tales, preset="huge")
    assert "there is lora, full" in looking.refused("run", run="nobody")
    assert "is not at work; there is nothing to stop" in looking.refused("stop", run="full")
    assert "must be a conversation" in looking.refused("ask", run="full", messages=[])
    assert looking.refused("curves", run="full", after_step="many").startswith(
        "curves was called with after_step = 'many'"
    )
    assert "was not held against retrieval yet" in looking.refused("retrieval", run="full")
    assert looking.refused("train", files=[]).startswith("Name a file of examples in files")


@pytest.mark.parametrize("path", ["/etc/passwd", "{root}/full/console.log", "../../etc/passwd"])
def test_no_file_of_the_server_is_read_for_a_program(looking, shown, path):
    path = path.format(root=shown.store.root)
    for act, named in (
        ("check_data", {"files": [path]}),
        ("train", {"files": ["sample:fables-en"], "settings": {"data": {"held_out_files": [path]}}}),
        ("train", {"files": ["sample:fables-en"], "settings": {"evaluate.tasks": [path]}}),
        ("evaluate", {"run": "full", "tasks": [path]}),
        ("compare_with_retrieval", {"run": "full", "documents": [path]}),
    ):
        assert "not among the files brought to this page" in looking.refused(act, **named), act
    assert "as handle_file" in looking.refused("keep_file", file={"path": path})
    assert looking.refused("keep_file", file={"path": path, "meta": {"_type": "other"}})


def test_runs_are_looked_at_and_put_side_by_side(looking):
    assert {run["run"] for run in looking.runs()} == {"full", "lora"}
    curves = looking.curves(run="full")
    assert (
        curves["training"]["step"] == list(range(1, 13))
        and len(set(map(len, curves["training"].values()))) == 1
    )
    assert len(looking.log(run="full", most_bytes=100).encode()) <= 100
    assert looking.scores(run="full")["tasks"][0]["rows"] == []
    assert looking.scores(run="full", rows=True)["tasks"][0]["rows"]
    assert looking.compare_runs(runs=["full", "lora"])["runs"] == ["full", "lora"]
    assert "train.learning_rate" in {each["name"] for each in looking.settings(preset="small")}


def test_a_data_set_that_a_program_saved_can_be_trained_on(program):
    rows = "\n".join(map(json.dumps, [*ROWS, ROWS[0]]))
    kept = program.keep_text(text=rows, name="../ my jars.jsonl")["file"]
    saved = program.save_data(name="jars", files=[kept])
    assert (saved["kept"], saved["dropped"]) == (24, {"duplicate": 1})
    assert program.data_sets()["saved"] == [{"name": "jars", "file": saved["file"]}]
    assert program.plan(files=[saved["file"]], settings=QUICK)["total_steps"] == 6


def test_programs_of_two_accounts_see_nothing_of_each_other_and_one_without_a_password_nothing_at_all(
    tmp_path,
):
    RunStore(tmp_path / "runs" / "ada").create("secret", quick())
    with running(tmp_path, {"ATELIER_AUTH": "ada:plums bob:jars"}) as app:
        with pytest.raises(AuthenticationError, match="Please login"):
            Program(app)
        with pytest.raises(ValueError, match="Could not login"):
            Program(app, ("ada", "jars"))
        ada, bob = Program(app, ("ada", "plums")), Program(app, ("bob", "jars"))
        kept = ada.keep_text(text="\n".join(map(json.dumps, ROWS)))["file"]
        assert [run["run"] for run in ada.runs()] == ["secret"] and bob.runs() == []
        for run in ("secret", "../ada/secret"):
            assert "There is no run called" in bob.refused("log", run=run)
            assert "There is no run called" in bob.refused("delete", run=run)
        assert "not among the files brought" in bob.refused("plan", files=[kept])
        assert bob.train(files=["sample:fables-en"], name="secret", settings=QUICK)["run"] == "secret"
        assert ada.queue() == {"running": [], "waiting": []} and ada.run(run="secret")["state"] == "new"
        bob.stop(run="secret", now=True)
        for program in (ada, bob):
            program.client.close()


@pytest.fixture
def publishing(trained_runs, tmp_path, hub) -> Iterator[App]:
    """A server with a trained run, whose owner has a token."""
    shutil.copytree(trained_runs.get("lora").folder, tmp_path / "runs" / "lora")
    options = ("--mcp",) if importlib.util.find_spec("mcp") else ()
    with running(tmp_path, hub.environment(hub.writer), options) as app:
        yield app


@pytest.mark.slow
def test_a_program_publishes_and_what_failed_is_tried_again(publishing, hub):
    program = Program(publishing)
    ended = functools.partial(until, lambda: program.run(run="lora")["state"] not in BUSY)
    assert program.account() == {"name": "ada"}
    assert "Name the repository as owner/name" in program.refused("publish", run="lora", to="tales")
    hub.fault("POST", "/commit/", 500, times=9)
    program.publish(run="lora", to="ada/tales", license="apache-2.0")
    ended()
    told = program.run(run="lora")
    assert (told["state"], told["published"]) == ("failed", []) and "ada/tales failed" in told["message"]
    hub.faults.clear()
    program.retry_publishing(run="lora")
    ended()
    assert program.run(run="lora")["published"] == [f"{hub.url}/ada/tales"]
    repo = hub.repos["models", "ada/tales"]
    assert repo.private and b"license: apache-2.0" in repo.head.tree["README.md"].content
    program.client.close()


@pytest.mark.extras
@pytest.mark.skipif(
    importlib.util.find_spec("mcp") is None, reason="requirements-extras.txt is not installed"
)
def test_an_mcp_client_finds_the_acts_as_tools_and_is_answered_in_json(tmp_path):
    app = App(tmp_path, {})
    app.options = ("--mcp",)
    app.start()
    try:
        tools, presets, wrong = asyncio.run(of_mcp(f"{app.url}/gradio_api/mcp/"))
    finally:
        app.close()
    assert set(tools) == {name for group in programs.GROUPS.values() for name, _ in acts(group)}
    assert (
        tools["curves"]
        .inputSchema["properties"]["after_step"]["description"]
        .startswith("Only steps after this")
    )
    assert tools["continue"].inputSchema["required"] == ["run"]
    assert json.loads(presets.content[0].text)[0]["name"] == "tiny" and not presets.isError
    assert wrong.isError and wrong.content[0].text.startswith("There is no run called 'nobody'")


async def of_mcp(url: str) -> tuple:
    """The tools by name, what the tool `presets` answers, and what `run` does of a run that is none."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        return (
            tools,
            await session.call_tool("presets", {}),
            await session.call_tool("run", {"run": "nobody"}),
        )
