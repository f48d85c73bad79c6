"""The whole page as it is assembled: its addresses, and what programs may call."""

from webui.page import ROOMS, build
from webui.render.parts import PAGES, header
from webui.shared import Shared


def test_every_room_has_an_address_and_a_link(store):
    assert [path for path, *_ in build(Shared(store)).pages] == list(ROOMS) == list(PAGES)
    for path in ROOMS:
        assert f'href="./{path}"' in header("")


def test_the_header_says_where_one_is():
    assert 'href="./runs" aria-current=page>Runs' in header("runs")
    assert header("runs").count("aria-current") == 1


def test_looking_waits_for_nobody(store):
    looks = [event for event in build(Shared(store)).fns.values() if event.api_name.startswith("look")]
    assert looks and all(not event.queue and event.concurrency_limit is None for event in looks)
