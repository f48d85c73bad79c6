"""Visitors of a Space: what is one's is nobody else's, whatever is asked for and however."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio_client import Client
from starlette.middleware import Middleware

from core.errors import RunError, UserError
from core.runs import RunStore, jobs
from core.runs.events import Finished, Queued, Stopped
from tests.browser.conftest import App
from tests.conftest import bystander, quick
from tests.hub import Hub
from tests.webui.answering import answering
from tests.webui.people import Person, contents
from webui import visitors
from webui.page import build
from webui.sessions import COOKIE, Sessions
from webui.shared import SAMPLE, Shared
from webui.visitors import Quota, Space, Visitor

SECRET = "the-plums-are-in-jar-nine"
CHOSEN = {"held_out": [], "columns": {}, "drop": [], "weights": []}
SETTINGS = {"preset": "tiny", "values": {}}


def info(name: str, *, id: str | None = None, seconds: float = 60) -> dict:
    """What gradio keeps of somebody who signed in."""
    userinfo = {
        "preferred_username": name,
        "sub": id or f"id-{name}",
        "name": name,
        "profile": "",
        "picture": "",
    }
    return {
        "access_token": f"hf_of_{name}",
        "scope": "",
        "expires_at": time.time() + seconds,
        "userinfo": userinfo,
    }


@contextmanager
def asking(name: str | None, **more) -> Iterator[None]:
    """As if this person's page had asked for what happens within."""
    session = {} if name is None else {"oauth_info": info(name, **more)}
    request = gr.Request(
        request=SimpleNamespace(scope={"session": session}, headers={}), session_hash=f"page of {name}"
    )
    with answering(request):
        yield


@pytest.fixture
def space(tmp_path) -> Space:
    return Space(tmp_path / "runs", Quota(), signing_in=True, zero_gpu=False)


@pytest.fixture
def shared(space) -> Shared:
    return Shared(RunStore(space.root), space)


# Who asks


class Named(Sessions):
    """A cookie's value is the account that it stands for."""

    def find(self, key: str | None) -> dict:
        return {"oauth_info": info(key), "until": time.time() + 60} if key else {}


def test_who_asks_is_known_in_plain_functions_streams_timers_and_when_a_page_is_opened():
    def name() -> str:
        visitor = visitors.current()
        return visitor.name if visitor else "nobody"

    def names() -> Iterator[str]:
        for _ in range(4):
            time.sleep(0.05)  # meanwhile the other one is answered
            yield name()

    with gr.Blocks() as page:
        told = gr.Textbox()
        gr.Timer(60).tick(name, None, told, api_name="tick")
        page.load(name, None, told, api_name="opened")
        gr.Button().click(name, None, told, api_name="plain")
        gr.Button().click(name, None, told, api_name="at_once", queue=False)
        gr.Button().click(names, None, told, api_name="stream", concurrency_limit=4)
    quiet = {"prevent_thread_lock": True, "quiet": True, "server_name": "127.0.0.1"}
    page.launch(app_kwargs={"middleware": [Middleware(Named)]}, **quiet)
    try:
        clients = {
            who: Client(page.local_url, headers={"Cookie": f"{COOKIE}={who}"} if who else {}, verbose=False)
            for who in ("ada", "bob", "")
        }
        for each in ("opened", "tick", "plain", "at_once"):
            for who, client in clients.items():
                assert client.predict(api_name=f"/{each}") == (who or "nobody")
        streams = {who: client.submit(api_name="/stream") for who, client in clients.items()}
        for who, stream in streams.items():
            assert list(stream) == [who or "nobody"] * 4
    finally:
        page.close()


@pytest.mark.parametrize(
    "name", ["../ada", "..", ".demo", "ada/secret", "a\0b", "", "ada ", "-ada", "a" * 200]
)
def test_an_account_whose_name_is_no_folders_gets_none(shared, space, name):
    with asking(name), pytest.raises(UserError, match="cannot be used here"):
        shared.store.all()
    assert not space.root.exists()


def test_an_account_that_took_a_name_over_does_not_get_the_folder(shared):
    with asking("ada"):
        shared.store.create("secret", quick())
    other = Space(shared.space.root, Quota(), True, False)  # after a restart
    with asking("ada", id="another-id"), pytest.raises(UserError, match="had this name before"):
        other.home()


def test_an_expired_sign_in_is_told_from_none(shared):
    sessions = Sessions(app=None)
    sessions.kept["key"] = {"oauth_info": info("ada", seconds=-1), "until": time.time() + 60}
    found = sessions.find("key")
    assert "hf_of_ada" not in str(found)
    request = gr.Request(request=SimpleNamespace(scope={"session": found}))
    with answering(request), pytest.raises(UserError, match="Your sign-in has expired: sign in again"):
        shared.may_work()
    with asking(None), pytest.raises(UserError, match="^Sign in with your Hugging Face account first"):
        shared.may_work()


def test_the_token_is_that_of_who_asks_and_never_one_that_came_with_a_call(shared):
    brought = gr.OAuthToken("hf_brought", "", 0)
    with asking("ada"):
        assert shared.token(brought) == "hf_of_ada"
    with asking(None), pytest.raises(UserError):
        shared.token(brought)
    assert "hf_of_ada" not in repr(Visitor("ada", "1", "hf_of_ada", 0))


# What is whose


def test_each_visitor_has_their_own_runs_files_and_conversations(shared, tmp_path):
    file = tmp_path / "diary.jsonl"
    file.write_text("{}\n")
    with asking("ada"):
        shared.store.create("secret", quick())
        kept = shared.keep(str(file))
        assert [run.name for run in shared.store.all()] == ["secret"]
        assert shared.files([kept]) == [kept]
        talks = shared.space.talks()
    with asking("bob"):
        assert shared.store.all() == [] and shared.find("secret") is None
        with pytest.raises(UserError, match="not among the files brought"):
            shared.files([kept])
        assert shared.space.talks() is not talks
    with asking("ada"):
        assert shared.space.talks() is talks
    assert (shared.space.root / "ada" / "secret" / "spec.yaml").is_file()


@pytest.mark.parametrize(
    "setting", ["model.base", "model.tokenizer", "evaluate.tasks", "data.against", "data.files"]
)
@pytest.mark.parametrize(
    "way", ["{root}/ada/secret/final", "../ada/secret/final", "~/secret", "presets", "../../x"]
)
def test_a_setting_cannot_reach_for_what_lies_on_the_disk(shared, setting, way):
    value = way.format(root=shared.space.root)
    section, _, name = setting.partition(".")
    several = section in ("data", "evaluate")
    with asking("bob"), pytest.raises(UserError, match="nothing else on its disk"):
        shared.own({section: {name: [value] if several else value}})


@pytest.mark.parametrize("way", ["my.yaml", "/tmp/my.yaml/", "{own}/my.yaml", "../runs/bob/.data/my.yaml"])
def test_a_task_of_lm_eval_that_is_a_file_is_refused(shared, way):
    """It could name a program to run."""
    with asking("bob"), pytest.raises(UserError, match="nothing else on its disk"):
        shared.own({"evaluate": {"tasks": ["lm-eval:" + way.format(own=shared.uploads)]}})


def test_settings_that_name_what_anybody_may_use_are_let_through(shared, tmp_path):
    with asking("bob"):
        file = tmp_path / "own.jsonl"
        file.write_text("{}\n")
        values = quick().model_dump(mode="json")
        values["data"]["files"] = [SAMPLE, "hf:owner/name", shared.keep(str(file))]
        assert shared.own(values) is values
        shared.store.create("poems", quick({"evaluate": {"prompts": ["../what is this?"]}}))


def test_without_signing_in_nothing_can_be_made_brought_or_named(shared, tmp_path):
    file = tmp_path / "diary.jsonl"
    file.write_text("{}\n")
    with asking(None):
        assert shared.files(None) == [SAMPLE]
        for attempt in (
            lambda: shared.store.create("mine", quick()),
            lambda: shared.keep(str(file)),
            lambda: shared.files(["hf:owner/name"]),
            lambda: shared.sets.save("mine", []),
            shared.token,
        ):
            with pytest.raises(UserError, match="Sign in with your Hugging Face account first"):
                attempt()
    assert not list(shared.space.root.rglob("*.*"))


def test_a_visitors_jobs_know_nothing_of_the_owners_secrets_or_of_what_others_downloaded(store, monkeypatch):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OAUTH_CLIENT_SECRET"):
        monkeypatch.setenv(name, "hf_of_the_owner")
    monkeypatch.setenv("SPACE_ID", "guild/atelier")
    run = RunStore(store.root / "ada").create("poems", quick())
    environment = jobs.child_environment("hf_of_ada", run)
    assert environment["HF_TOKEN"] == "hf_of_ada"
    assert environment["HF_HOME"] == str(store.root.resolve() / "ada" / ".hub")
    assert "hf_of_the_owner" not in environment.values()
    assert "hf_of_the_owner" not in jobs.child_environment().values()
    monkeypatch.delenv("SPACE_ID")
    assert jobs.child_environment()["HF_TOKEN"] == "hf_of_the_owner"


# How much


def test_a_visitor_may_have_so_many_runs_so_many_bytes_and_so_many_jobs(tmp_path):
    space = Space(tmp_path / "runs", Quota(runs=2, disk_bytes=5_000), True, False)
    shared = Shared(RunStore(space.root), space)
    file = tmp_path / "long.jsonl"
    file.write_text("x" * 4_000)
    with asking("ada"):
        first, second = (shared.store.create(name, quick()) for name in ("first", "second"))
        with pytest.raises(UserError, match=r"You have 2 runs, .*\(ATELIER_MOST_RUNS\)"):
            shared.store.create("third", quick())
        first.events.append(Queued(act="train"))
        first.set_process(bystander())
        with pytest.raises(
            UserError, match=r"One job at a time .*\(ATELIER_MOST_JOBS\), and first is at work"
        ):
            space.may_begin()
        first.events.append(Stopped(act="train"))
        space.may_begin()
        with pytest.raises(UserError, match=r"of the 5 kB that .*\(ATELIER_MOST_DISK\): delete a run"):
            shared.keep(str(file))
        (second.folder / "large").write_bytes(b"x" * 6_000)
        with pytest.raises(UserError, match="ATELIER_MOST_DISK"):
            space.may_begin()
    with asking("bob"):
        shared.store.create("first", quick())


def test_the_owner_of_a_space_sets_the_quota_by_its_variables(monkeypatch):
    monkeypatch.setenv("ATELIER_MOST_RUNS", "3")
    monkeypatch.setenv("ATELIER_MOST_DISK", "1.5GB")
    assert Quota.of_environment() == Quota(runs=3, disk_bytes=1_500_000_000)
    monkeypatch.setenv("ATELIER_MOST_JOBS", "many")
    with pytest.raises(UserError, match="ATELIER_MOST_JOBS is 'many': write a number"):
        Quota.of_environment()


def test_no_more_models_are_held_than_the_memory_is_for(tmp_path):
    class Loaded(visitors.SpaceTalks):
        state = "ready"

        def close(self) -> None:
            self.state = "closed"

    space = Space(tmp_path, Quota(talks=2), True, False)
    older, newer = Loaded(space), Loaded(space)
    older.used_at, newer.used_at = 1.0, 2.0
    space._talks |= {"older": older, "newer": newer}
    older.answering = newer.answering = 1
    asking_too = visitors.SpaceTalks(space)
    with pytest.raises(RunError, match="all are answering: try again"):
        space.make_room(asking_too)
    older.answering = newer.answering = 0
    space.make_room(asking_too)
    assert (older.state, newer.state) == ("closed", "ready")


def test_a_session_renamed_while_a_request_is_under_way_keeps_one_name():
    sessions = Sessions(app=None)
    (planted,) = sessions.keep(None, session := {"state": "x"}, None, False)
    key = planted.partition("=")[2].partition(";")[0]
    session["oauth_info"] = info("ada")
    assert len(sessions.keep(key, session, None, True)) == 1  # the one that signed in
    assert sessions.keep(key, session, None, True) == []  # one that began before it, and ended after
    assert len(sessions.kept) == 1 and key not in sessions.kept


def test_what_runs_fetched_goes_before_a_visitor_is_told_to_delete_a_run(space, shared):
    space.quota = Quota(disk_bytes=100)
    with asking("ada"):
        fetched = shared.home.store.root / ".hub" / "model.safetensors"
        fetched.parent.mkdir(parents=True)
        fetched.write_bytes(bytes(200))
        space.has_room(shared.home, 50)
        assert not fetched.exists()
        (shared.home.store.root / "a" / "final").mkdir(parents=True)
        (shared.home.store.root / "a" / "final" / "model.safetensors").write_bytes(bytes(200))
        with pytest.raises(UserError, match="delete a run"):
            shared.sets.save("mine", [])


def test_of_many_who_load_models_at_the_same_moment_no_more_hold_them_than_may(tmp_path):
    space = Space(tmp_path, Quota(talks=1), True, False)

    class Slow(visitors.SpaceTalks):
        def begin(self, run: object) -> SimpleNamespace:
            time.sleep(0.05)
            return SimpleNamespace(
                alive=True, ready=lambda patience: time.sleep(0.05), close=lambda: None, served=None
            )

    people = {str(number): Slow(space) for number in range(4)}
    space._talks |= people
    for each in people.values():
        each.answering = 1

    def load(each: Slow) -> bool:
        try:
            each.open(SimpleNamespace(name="a"))
        except RunError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(load, people.values())) == 1


def test_where_a_gpu_is_lent_by_the_minute_nothing_is_trained(tmp_path):
    space = Space(tmp_path, Quota(), True, zero_gpu=True)
    with asking("ada"), pytest.raises(UserError, match="compute.where to hf-jobs"):
        space.home().store.create("poems", quick())
    with asking("ada"):
        space.home().store.create("poems", quick({"compute": {"where": "hf-jobs"}}))


# The page itself, and what no page would ask


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """A Space with a demo run; ada has one of her own, in which there is a secret, and an uploaded file."""
    folder = tmp_path_factory.mktemp("space")
    with Hub(home=folder / "hf-home") as hub:
        app = App(folder, {})
        demo = RunStore(app.store.root / ".demo").create("demo", quick())
        demo.events.append(Finished(act="train", output="final"))
        for part in ("final", "reports"):
            (demo.folder / part).mkdir()
        runs = RunStore(app.store.root / "ada")
        run = runs.create("secret", quick({"template": {"system": SECRET}}))
        run.console.write_text(SECRET)
        (run.folder / "final").mkdir()
        run.events.append(Finished(act="train", output="final"))
        (runs.root / ".account").write_text("id-ada")
        upload = runs.root / ".data" / "0123456789ab" / "diary.jsonl"
        upload.parent.mkdir(parents=True)
        upload.write_text(f'{{"question": "Where?", "answer": "{SECRET}"}}\n' * 8)
        owner = hub.add_token("bob")
        app.environment = hub.register("ada/atelier", app.url).environment(hub) | {"HF_TOKEN": owner}
        app.start()
        config = Person(app).ask("GET", "/config").json()
        yield SimpleNamespace(app=app, hub=hub, run=run, upload=upload, demo=demo, app_config=config)
        app.close()


@pytest.fixture
def ada(place) -> Person:
    return Person(place.app).sign_in(place.hub, "ada")


@pytest.fixture
def bob(place) -> Person:
    return Person(place.app).sign_in(place.hub, "bob")


def test_one_sees_what_is_ones_own_and_signs_out_of_it(place, ada, bob):
    assert SECRET in str(ada.look("secret"))
    assert "secret" not in str(bob.look("secret"))
    assert "Signed in as <b>ada</b>" in str(ada.call("greeting"))
    stolen = Person(place.app, ada.cookie)
    ada.ask("GET", "/logout")
    assert ada.cookie is None
    for person in (ada, stolen):
        assert "You are looking around" in str(person.call("greeting"))
        assert SECRET not in person.look("secret")


def filled(place, event: dict, name: str) -> list:
    """What the event is given: where words can be written, the name; where data are chosen, a file of somebody else's;
    elsewhere what the page begins with."""
    components = {each["id"]: each for each in place.app_config["components"]}
    values = []
    for each in event["inputs"]:
        kind, props = components[each]["type"], components[each]["props"]
        if kind == "browserstate":
            key = props["storage_key"]
            values.append(CHOSEN | {"files": [str(place.upload)]} if key == "atelier.data" else SETTINGS)
        elif kind == "textbox" or (kind == "dropdown" and props.get("allow_custom_value")):
            values.append(name)
        else:
            values.append(props.get("value"))
    return values


@pytest.mark.parametrize("who, name", [("bob", "secret"), ("bob", "../ada/secret"), (None, "../ada/secret")])
def test_nothing_that_can_be_asked_for_shows_or_changes_what_is_somebody_elses(place, who, name):
    person = Person(place.app)
    if who:
        person.sign_in(place.hub, who)
    before = contents(place.run.folder.parent), contents(place.demo.folder) if who is None else None
    asked = 0
    for event in person.events():
        if event["backend_fn"] and event["api_name"] not in ("read", "save", "make"):  # see below
            more = {"event_data": {"run": name, "act": "cancel"}} if event["api_name"] == "rearrange" else {}
            answer = person.call(event, *filled(place, event, name), **more)
            assert SECRET not in str(answer), event["api_name"]
            asked += 1
    assert asked > 50
    assert (contents(place.run.folder.parent), contents(place.demo.folder) if who is None else None) == before


@pytest.mark.parametrize("event", ["read", "save", "make"])
def test_nobody_reads_a_file_that_another_brought(place, bob, event):
    found = bob.event(event)
    answer = str(bob.call(found, *filled(place, found, "mine")))
    assert "not among the files brought to this page" in answer and SECRET not in answer


def test_without_signing_in_the_demo_is_there_to_see_and_nothing_can_be_begun(place):
    stranger = Person(place.app)
    assert "demo" in str(stranger.look("demo"))
    before = contents(place.demo.folder)
    for event in stranger.events():
        if event["api_visibility"] == "public" and event["api_name"] not in visitors.FOR_EVERYONE:
            answer = str(stranger.call(event, *filled(place, event, "demo")))
            assert "Sign in with your Hugging Face account first" in answer, event["api_name"]
    assert contents(place.demo.folder) == before


def test_files_are_for_those_who_signed_in_and_no_file_of_the_server_is_served(place, ada, bob, tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text("{}\n")
    refused = Person(place.app).upload(file)
    assert refused.status_code == 401 and refused.text.startswith(
        "Sign in with your Hugging Face account first"
    )
    reader = Person(place.app)
    reader.client.headers["accept-language"] = "fr"
    assert reader.upload(file).text.startswith("Connectez-vous d’abord")
    assert ada.upload(file).status_code == 200
    for path in (place.upload, place.run.console, place.run.folder / "spec.yaml", "/etc/passwd", "app.py"):
        for person in (ada, bob, Person(place.app)):
            assert person.ask("GET", f"/gradio_api/file={path}").status_code == 403
    assert ada.ask("GET", "/gradio_api/deep_link?session_hash=x").status_code == 404


def test_a_page_of_another_site_acts_in_nobodys_name(place, ada):
    path = "/gradio_api/run/greeting"
    body = {"data": [], "fn_index": ada.event("greeting")["id"], "session_hash": "x"}
    for headers, signed_in in (
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Origin": place.app.url}, True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, False),  # a form that is posted
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": place.app.url}, True),
    ):
        assert ("Signed in as" in ada.ask("POST", path, json=body, headers=headers).text) is signed_in, (
            headers
        )


def test_the_cookie_says_nothing_and_is_new_with_every_sign_in(place, hub):
    person = Person(place.app)
    planted = Person(place.app)
    planted.ask("GET", "/login/huggingface")
    person.cookie = planted.cookie  # which somebody else knows
    person.sign_in(place.hub, "ada")
    assert person.cookie != planted.cookie
    assert "You are looking around" in str(planted.call("greeting"))
    line = Person(place.app).ask("GET", "/login/huggingface").headers.get_list("set-cookie")
    (ours,) = [each for each in line if each.startswith(f"{COOKIE}=")]
    assert all(word in ours for word in ("Secure", "HttpOnly", "SameSite=None", "Partitioned", "Path=/"))
    assert "Domain" not in ours and "Max-Age" not in ours and len(line) == 1
    again = person.cookie
    person.sign_in(place.hub, "ada")
    assert person.cookie != again and "You are looking" in str(Person(place.app, again).call("greeting"))


def test_a_token_that_comes_with_a_call_signs_nobody_in(place):
    stranger = Person(place.app)
    publish = stranger.event("publish")
    answer = stranger.call(publish, *filled(place, publish, "demo"), oauth_token=place.hub.writer)
    assert "Sign in" in str(answer)


def test_off_a_space_there_are_no_visitors(store):
    shared = Shared(store)
    assert shared.store is store and shared.token() is None
    shared.may_work()
    config = str(build(shared).get_config_file())
    assert "Sign in with" not in config and "loginbutton" not in config
