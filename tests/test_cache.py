"""What is computed once is found again, and what is half done never is."""

import os

import pytest

from core import cache
from core.errors import UserError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def named(key: str) -> str:
    return cache.key_of(key)


def make(key: str, content: bytes = b"x", kind: str = "tokens") -> None:
    with cache.making(kind, named(key)) as folder:
        (folder / "file").write_bytes(content)


def test_an_entry_is_found_once_it_is_made():
    assert cache.found("tokens", named("k")) is None
    make("k", b"made")
    assert (cache.found("tokens", named("k")) / "file").read_bytes() == b"made"
    assert cache.found("data", named("k")) is None


def test_an_entry_that_failed_leaves_nothing(place):
    with pytest.raises(ZeroDivisionError), cache.making("tokens", named("k")) as folder:
        (folder / "file").write_bytes(b"half")
        raise ZeroDivisionError
    assert cache.found("tokens", named("k")) is None
    assert list((cache.root() / "tokens").iterdir()) == []


def test_two_who_make_the_same_entry_do_not_disturb_each_other():
    with cache.making("tokens", named("k")) as slower:
        (slower / "file").write_bytes(b"x")
        make("k")
    assert (cache.found("tokens", named("k")) / "file").read_bytes() == b"x"


def test_the_entries_used_longest_ago_make_room(monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 25)
    for age, key in ((300, "oldest"), (200, "older"), (100, "old")):
        make(key, b"0123456789")
        folder = cache.root() / "tokens" / named(key)
        os.utime(folder, (folder.stat().st_mtime - age,) * 2)
    assert cache.found("tokens", named("older"))  # which makes it the newest
    make("new", b"0123456789")
    assert [key for key in ("oldest", "older", "old", "new") if cache.found("tokens", named(key))] == [
        "older",
        "new",
    ]


def test_nothing_but_entries_is_ever_removed(place, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 0)
    long_ago = (1_000_000, 1_000_000)
    for mine in (
        place / "project" / ".git",
        cache.root() / "tokens" / "my-notes",
        cache.root() / "other" / ".x",
    ):
        mine.mkdir(parents=True)
        (mine / "file").write_bytes(b"0123456789")
        os.utime(mine, long_ago)
    make("new")
    assert (place / "project" / ".git" / "file").exists()
    assert (cache.root() / "tokens" / "my-notes" / "file").exists() and (
        cache.root() / "other" / ".x"
    ).exists()


def test_a_disk_that_is_full_is_one_sentence():
    words = "No space left on device. Make room there, or let ATELIER_CACHE"
    with pytest.raises(UserError, match=words), cache.making("tokens", named("k")):
        raise OSError(28, "No space left on device")


def test_an_entry_larger_than_the_limit_is_still_there_for_who_made_it(monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 5)
    make("large", b"0123456789")
    assert cache.found("tokens", named("large"))


def test_a_place_that_cannot_be_written_is_replaced_by_a_temporary_one(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "file" / "below"))
    make("k")
    assert cache.found("tokens", named("k"))


def test_keys_differ_with_what_they_are_made_of():
    assert cache.key_of("a", 1) == cache.key_of("a", 1) != cache.key_of("a", 2)


def test_values_are_made_once_and_again_when_somebody_damaged_them():
    made = []

    def make_values() -> dict[str, int]:
        made.append(1)
        return {"rows": 3}

    for _ in range(2):
        assert cache.values("shapes", named("k"), make_values) == {"rows": 3}
    assert len(made) == 1
    (cache.found("shapes", named("k")) / cache.VALUES).write_text('{"rows"')
    assert cache.values("shapes", named("k"), make_values) == {"rows": 3}
    assert len(made) == 2
