"""A hub and a process that pushes to it, once for all tests of a file."""

from collections.abc import Iterator

import pytest

from tests.hub import Hub
from tests.publish.pushing import Child


@pytest.fixture(scope="module")
def shared_hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def child(shared_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    child = Child(shared_hub, tmp_path_factory.mktemp("child") / "log")
    yield child
    child.end()
