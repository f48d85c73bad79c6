"""`atelier serve` as a program sees it: the real client of the protocol against the real process."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import openai
import psutil
import pytest

from core.errors import RunError
from core.talk import Talk, address
from core.talk.desk import WAITING
from core.talk.serve import serve_by_name
from tests.conftest import until
from tests.evaluate.making import tuned_run
from webui.talks import Talks

HELLO = [{"role": "user", "content": "Who led Alice down the hole?"}]
GREEDY = {"messages": HELLO, "temperature": 0, "max_tokens": 12}
LONG = {"messages": HELLO, "temperature": 0, "max_tokens": 400}
TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tuned_run(tmp_path_factory.mktemp("serving"))


@pytest.fixture(scope="module")
def server(run):
    process = subprocess.Popen(
        [sys.executable, "-m", "core", "serve", run.name, "--runs", str(run.folder.parent), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def url(server):
    said = server.stdout.readline()
    assert "as the model tuned and base. Ctrl-C ends it." in said
    return said.split("answers at ")[1].split(",")[0]


@pytest.fixture(scope="module")
def client(url):
    with openai.OpenAI(base_url=url, api_key="any", max_retries=0, timeout=60) as client:
        yield client


def whole(client, side="tuned", **asked) -> str:
    return client.chat.completions.create(model=side, **asked).choices[0].message.content


def streamed(client, side="tuned", **asked) -> tuple[str, list]:
    chunks = list(client.chat.completions.create(model=side, stream=True, **asked))
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), chunks


def raw(url, method="POST", path="/v1/chat/completions", body=None, **headers):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    text = json.dumps(body or {"model": "tuned", **GREEDY})
    connection.request(method, path, text, {"Content-Type": "application/json"} | headers)
    return connection, connection.getresponse()


def test_the_models_are_base_and_tuned(client):
    assert [model.id for model in client.models.list()] == ["tuned", "base"]
    assert client.models.retrieve("base").object == "model"
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-5'"):
        client.models.retrieve("gpt-5")


def test_a_streamed_answer_is_the_whole_one_in_pieces_and_both_count_the_same_tokens(client):
    answer = client.chat.completions.create(model="tuned", **GREEDY)
    said, chunks = streamed(client, stream_options={"include_usage": True}, **GREEDY)
    assert answer.choices[0].message.content == said and len(chunks) > 6
    assert answer.choices[0].message.role == chunks[0].choices[0].delta.role == "assistant"
    assert answer.choices[0].finish_reason == chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage == answer.usage and chunks[-1].choices == []
    assert answer.usage.completion_tokens == 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 12 > 12
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_two_models_answer_differently(client):
    assert whole(client, "base", **GREEDY) != whole(client, "tuned", **GREEDY)


def test_the_same_seed_gives_the_same_answer_and_another_seed_another(client):
    asked = {"messages": HELLO, "temperature": 1.5, "max_tokens": 12}
    answers = [whole(client, seed=seed, **asked) for seed in (7, 7, 8)]
    assert answers[0] == answers[1] != answers[2]
    assert streamed(client, seed=7, **asked)[0] == answers[0]


def test_a_stop_string_ends_the_answer_before_it_and_the_reason_is_stop(client):
    said = whole(client, **GREEDY)
    stop = said[len(said) // 2 :][:4]
    answer = client.chat.completions.create(model="tuned", stop=[stop, "never said"], **GREEDY)
    assert answer.choices[0].message.content == said[: said.index(stop)]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens < 12
    text, chunks = streamed(client, stop=stop, **GREEDY)
    assert text == said[: said.index(stop)] and chunks[-1].choices[0].finish_reason == "stop"


def test_two_clients_at_once_are_both_answered_as_if_they_were_alone(client, url):
    alone = {side: whole(client, side, **GREEDY) for side in ("base", "tuned")}
    answers = {}

    def ask(side: str) -> None:
        with openai.OpenAI(base_url=url, api_key="any", max_retries=0) as own:
            answers[side] = streamed(own, side, **GREEDY)[0]

    asking = [threading.Thread(target=ask, args=(side,)) for side in alone]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert answers == alone


def test_errors_are_the_clients_own_exceptions_with_one_sentence(client):
    long = [{"role": "user", "content": "Alice and the rabbit. " * 200}]
    for asked, words, code in (
        (
            {**GREEDY, "messages": long},
            r"is \d+ tokens long and the model sees 512 at once",
            "context_length_exceeded",
        ),
        ({**GREEDY, "messages": []}, "'messages' is empty", None),
        ({**GREEDY, "n": 2}, "'n' can only be 1 here", None),
        ({**GREEDY, "extra_body": {"top_k": 5}}, "'top_k' is no parameter that is known here", None),
    ):
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError, match=words) as refused:
                client.chat.completions.create(model="tuned", stream=stream, **asked)
            assert refused.value.code == code
    with pytest.raises(
        openai.BadRequestError, match="There is no model \"gpt-5\" here; there is 'tuned' and 'base'"
    ):
        whole(client, "gpt-5", **GREEDY)


def test_tools_are_written_for_the_model_and_a_text_is_still_a_text(client):
    plain = client.chat.completions.create(model="tuned", **GREEDY)
    offered = client.chat.completions.create(model="tuned", tools=[TOOL], **GREEDY)
    assert offered.usage.prompt_tokens > plain.usage.prompt_tokens + 50
    assert offered.choices[0].message.tool_calls is None and offered.choices[0].finish_reason == "length"
    assert streamed(client, tools=[TOOL], **GREEDY)[0] == offered.choices[0].message.content


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_its_generation(client, url, stream):
    began = time.monotonic()
    whole(client, **LONG)
    full = time.monotonic() - began
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    body = json.dumps({"model": "tuned", "stream": stream, **LONG})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    if stream:
        connection.getresponse().readline()
    connection.close()
    began = time.monotonic()
    whole(client, **GREEDY)
    assert time.monotonic() - began < full / 2


def test_so_many_wait_and_one_more_is_told_to_come_back(client, url):
    body = json.dumps({"model": "tuned", "stream": True, **LONG})
    waiting = [http.client.HTTPConnection(urlsplit(url).netloc) for _ in range(WAITING + 1)]
    for place, connection in enumerate(waiting):
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        if place == 0:
            connection.getresponse()  # it has its turn
    until(lambda: json.load(raw(url, "GET", "/health")[1])["waiting"] == WAITING)
    with pytest.raises(openai.InternalServerError, match="16 requests wait already") as refused:
        whole(client, **GREEDY)
    assert refused.value.status_code == 503 and refused.value.response.headers["retry-after"] == "2"
    for connection in waiting:
        connection.close()
    until(lambda: json.load(raw(url, "GET", "/health")[1])["waiting"] == 0)
    assert whole(client, **GREEDY)


def test_a_page_of_somebody_else_in_a_browser_gets_nothing(url):
    port = urlsplit(url).port
    for headers, status in (
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": f"evil.example:{port}"}, 403),  # a name that was made to point here
        ({"Content-Type": "text/plain"}, 415),  # what a browser sends without asking first
        ({"Host": f"localhost:{port}"}, 200),
    ):
        _, response = raw(url, **headers)
        assert response.status == status, headers
        assert response.getheader("access-control-allow-origin") is None
        assert "choices" in (answer := json.load(response)) or answer["error"]["message"].endswith(".")
    _, preflight = raw(
        url, "OPTIONS", Origin="https://evil.example", **{"Access-Control-Request-Method": "POST"}
    )
    assert preflight.status == 403 and preflight.getheader("access-control-allow-origin") is None


@pytest.mark.parametrize("path", ["/join", "/pieces/1", "/stop/1", "/leave/1"])
def test_what_is_for_this_house_needs_its_own_key(url, path):
    _, response = raw(url, path=path)
    assert response.status == 401
    assert json.load(response)["error"]["code"] == "invalid_api_key"


def test_what_is_not_there_is_an_error_in_the_same_form(url):
    for method, path, status in (("POST", "/v1/completions", 404), ("GET", "/v1/chat/completions", 405)):
        _, response = raw(url, method, path)
        assert response.status == status and json.load(response)["error"]["type"] == "invalid_request_error"


def test_page_and_shell_are_answered_by_the_same_process_and_begin_at_once(server, url, run):
    talks = Talks()
    began = time.monotonic()
    talk = talks.open(run)
    assert time.monotonic() - began < 2 and talk.pid == server.pid and talks.served == url
    chat = [
        sys.executable,
        "-m",
        "core",
        "chat",
        run.name,
        "Hello",
        "--runs",
        str(run.folder.parent),
        "--json",
    ]
    done = subprocess.run(
        [*chat, "--max-new-tokens", "5", "--temperature", "0"], capture_output=True, text=True
    )
    answer = json.loads(done.stdout)["tuned"]
    pieces = talk.reply([{"role": "user", "content": "Hello"}], temperature=0.0, max_new_tokens=5)
    assert "".join(piece.text for piece in pieces) == answer["answer"]
    holding = [
        each for each in psutil.process_iter(["cmdline"]) if str(run.folder) in (each.info["cmdline"] or [])
    ]
    assert holding == []  # nobody else was started for the run
    talks.close()
    assert server.poll() is None  # it does not end with its users


def test_a_second_server_for_the_run_is_refused_with_the_address_of_the_first(url, run):
    with pytest.raises(RunError, match=rf"is answered for already, by process \d+ at {url}"):
        serve_by_name(run, port=0)


def test_others_than_this_machine_are_only_answered_with_a_key(run):
    with pytest.raises(RunError, match="name its variable with --api-key-env"):
        serve_by_name(run, host="0.0.0.0", port=0)
    with pytest.raises(RunError, match="is no origin of a page"):
        serve_by_name(run, port=0, origins=["*"])


def test_ctrl_c_tells_who_is_answered_and_leaves_nothing_behind(client, server, run):
    """The last one: it ends the process that those above share."""
    talk = Talk(run)
    talk.ready(timeout=5)
    answer = client.chat.completions.create(model="tuned", stream=True, **LONG)
    next(answer)
    began = time.monotonic()
    os.kill(server.pid, signal.SIGINT)
    with pytest.raises(openai.APIError, match="is being ended"):
        list(answer)
    assert server.wait(timeout=10) == 0 and time.monotonic() - began < 5
    assert address.read(run) is None and not (run.folder / "serve.json").exists()
    with pytest.raises(RunError, match="has ended"):
        list(talk.reply(HELLO))
    assert not talk.alive
