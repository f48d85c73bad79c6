"""Who may come in, asked of the door alone."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.responses import PlainTextResponse

from core.talk.door import Door
from core.talk.listener import is_loopback

OWN, API = "own-key", "their-key"
LOCAL = ("127.0.0.1", "localhost", "::1")


def status(path="/v1/models", api_key=None, origins=(), hosts=LOCAL, **headers) -> int:
    door = Door(PlainTextResponse("in"), OWN, api_key, origins, hosts)
    told = []
    pairs = [
        (name.lower().encode(), value.encode())
        for name, value in ({"host": "localhost:8000"} | headers).items()
    ]
    scope = {"type": "http", "method": "GET", "path": path, "headers": pairs}

    async def send(message):
        told.append(message)

    with ThreadPoolExecutor(1) as apart:  # a browser that tests share keeps a loop of its own in this thread
        apart.submit(asyncio.run, door(scope, None, send)).result()
    return told[0]["status"]


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000", "LOCALHOST:1"])
def test_this_machines_own_names_are_let_in(host):
    assert status(host=host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::1", "a:b:c"]
)
def test_another_name_for_this_machine_is_not(host):
    assert status(host=host) == 403


def test_a_page_is_let_in_only_if_its_origin_was_named():
    assert status(origin="https://chat.example") == 403
    assert status(origin="https://chat.example", origins=("https://chat.example",)) == 200
    assert status(origin="https://chat.example.evil", origins=("https://chat.example",)) == 403


def test_a_key_that_was_asked_for_is_needed_and_the_houses_own_opens_all():
    assert status(api_key=API) == 401
    assert status(api_key=API, authorization="Bearer wrong") == 401
    assert status(api_key=API, authorization="Bearer schlüssel") == 401
    assert status(api_key=API, authorization=f"Bearer {API}") == 200
    assert status(api_key=API, authorization=f"Bearer {OWN}") == 200
    assert status("/health", api_key=API) == 200
    assert status("/join", api_key=API, authorization=f"Bearer {API}") == 401
    assert status("/join", authorization=f"Bearer {OWN}") == 200


def test_under_any_name_a_key_is_what_counts():
    assert status(hosts=None, host="gpu.example:8000", api_key=API) == 401
    assert status(hosts=None, host="gpu.example:8000", api_key=API, authorization=f"Bearer {API}") == 200


@pytest.mark.parametrize("host, is_this", [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("gpu", False)])  # fmt: skip
def test_what_only_this_machine_reaches(host, is_this):
    assert is_loopback(host) is is_this
