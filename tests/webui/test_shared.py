"""What the pages share: files that survive, files that are refused, progress read once, and silence without news."""

import shutil
from html import escape

import gradio as gr
import pytest

from core.errors import DataError, UserError
from core.runs import RunStore
from core.runs.events import Begun, Queued
from tests.conftest import quick
from webui.page import build
from webui.render.parts import alert
from webui.shared import SAMPLE, Limits, Shared, only_news, spoken


@pytest.fixture
def shared(store):
    return Shared(store)


def upload(folder, name, content="{}\n"):
    path = folder / name
    path.write_text(content)
    return str(path)


def test_an_upload_is_kept_under_its_own_name_and_content(shared, tmp_path):
    kept = shared.keep(upload(tmp_path, "poems.jsonl", "a\n"))
    assert shared.files([kept]) == [kept]
    assert kept.startswith(str(shared.uploads)) and kept.endswith("/poems.jsonl")
    assert kept == shared.keep(upload(tmp_path, "poems.jsonl", "a\n"))
    assert kept != shared.keep(upload(tmp_path, "poems.jsonl", "b\n"))


def test_a_kept_name_keeps_its_kind(shared, tmp_path):
    assert shared.keep(upload(tmp_path, "a" * 100 + ".csv.gz")).endswith("a.csv.gz")


def test_no_more_files_are_kept_than_the_page_keeps(store, tmp_path):
    shared = Shared(store, limits=Limits(10**9, 2))
    for content in "ab":
        shared.keep(upload(tmp_path, "poems.jsonl", content))
    with pytest.raises(UserError, match=r"2 uploaded files are kept .*\(--max-uploads\)"):
        shared.keep(upload(tmp_path, "poems.jsonl", "c"))
    shared.keep(upload(tmp_path, "poems.jsonl", "a"))  # which is there


def test_what_a_person_may_bring_is_said_where_files_are_dropped(store):
    shown = str(build(Shared(store, limits=Limits(25 * 10**8, 1000))).get_config_file())
    assert "Largest file" in shown and "2.5" in shown and "1,000" in shown


@pytest.mark.parametrize("name", ["--private.jsonl", "my poems (1).jsonl", "<b>.jsonl", "..jsonl"])
def test_a_kept_name_is_harmless_in_a_shell_and_on_a_page(shared, tmp_path, name):
    kept = shared.keep(upload(tmp_path, name)).rpartition("/")[2]
    assert kept.strip("-.") == kept and not set(kept) & set(" <>()/&;")


@pytest.mark.parametrize(
    "named",
    [
        "/etc/passwd",
        "../secret.jsonl",
        "runs/.data/../poems/spec.yaml",
        "sample:../../secret",
        "core/spec.py",
        "hf:../../secret",
        "hf:owner/name?split=x&path=/etc",
        "hf:/etc/passwd",
    ],  # fmt: skip
)
def test_a_file_that_was_not_brought_to_the_page_is_refused(shared, named):
    with pytest.raises(DataError, match="not among the files brought to this page"):
        shared.files([named])


def test_a_data_set_on_the_hub_is_named_as_one_and_never_a_file_of_the_server(shared):
    assert shared.files(["hf:owner/name?subset=a%2Fb&split=test"]) == [
        "hf:owner/name?subset=a%2Fb&split=test"
    ]
    with pytest.raises(DataError):
        shared.files(["owner/name"])


def test_a_kept_file_that_is_gone_is_asked_for_again(shared, tmp_path):
    kept = shared.keep(upload(tmp_path, "poems.jsonl"))
    shutil.rmtree(shared.uploads)
    with pytest.raises(DataError, match="drop it on the Data page again"):
        shared.files([kept])


def test_a_kept_file_is_called_what_its_owner_calls_it(shared, tmp_path):
    kept = shared.keep(upload(tmp_path, "poems.jsonl"))
    assert shared.short(f"{kept}:3 is empty.") == "poems.jsonl:3 is empty."
    assert shared.short(f"{shared.uploads}/sets/poems.jsonl:3") == "poems.jsonl:3"


def test_a_folder_with_a_name_that_is_escaped_on_a_page_is_not_shown_either(tmp_path):
    shared = Shared(RunStore(tmp_path / "R&D"))
    assert shared.short(escape(f"{shared.uploads}/0123456789ab/poems.jsonl")) == "poems.jsonl"


def test_nothing_chosen_is_the_sample(shared):
    assert shared.files(None) == shared.files([]) == [SAMPLE]


def test_progress_follows_a_run_and_does_not_take_a_new_run_for_an_old_one(shared, store):
    run = store.create("poems", quick())
    run.events.append(Queued(act="train"))
    assert shared.progress(run).state == "queued"
    run.events.append(Begun(total_steps=7))
    assert shared.progress(run).total_steps == 7
    keeping_the_inode_busy = (run.folder / "spec.yaml").rename(store.root / "old.yaml")
    shutil.rmtree(run.folder)
    assert shared.progress(store.create("poems", quick())).total_steps == 0
    keeping_the_inode_busy.unlink()


def test_a_new_run_that_got_the_inode_of_an_old_one_of_its_name_is_not_taken_for_it(shared, store):
    run = store.create("poems", quick())
    run.events.append(Begun(total_steps=7))
    assert shared.progress(run).total_steps == 7
    kept = (run.folder / "spec.yaml").rename(store.root / "old.yaml")
    shutil.rmtree(run.folder)
    run = store.create("poems", quick())
    kept.write_bytes((run.folder / "spec.yaml").read_bytes())
    kept.replace(run.folder / "spec.yaml")
    assert shared.progress(run).total_steps == 0


def test_a_run_that_is_gone_is_followed_no_more(shared, store):
    run, other = store.create("poems", quick()), store.create("tales", quick())
    assert len(shared.all()) == 2
    shutil.rmtree(run.folder)
    shared.all()
    assert list(shared._followers) == [other.folder]


def test_what_the_page_shows_already_is_not_sent_again():
    seen, first, second = only_news(["one", True], None)
    assert (first, second["visible"]) == ("one", True)
    seen, first, second = only_news(["one", False], seen)
    assert first == gr.skip() and second["visible"] is False


def test_an_error_of_the_user_becomes_a_sentence_and_another_stays_an_error():
    place = gr.HTML()

    @spoken(place)
    def handler(fault):
        raise fault

    assert handler(UserError("Name a run.")) == {place: alert("Name a run.")}
    with pytest.raises(ZeroDivisionError):
        handler(ZeroDivisionError())


def test_a_stream_that_fails_ends_with_the_sentence():
    place, other = gr.HTML(), gr.HTML()

    @spoken(place)
    def handler():
        yield {other: "a"}
        raise UserError("Gone.")

    assert list(handler()) == [{place: "", other: "a"}, {place: alert("Gone.")}]
