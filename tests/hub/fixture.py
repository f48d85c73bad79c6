"""The `hub` fixture: one hub per test, with a home of its own for the client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.server import Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(home=tmp_path / "hf-home") as running:
        yield running
