"""Runs as folders: made whole or not at all."""

from concurrent.futures import ThreadPoolExecutor

from core.errors import RunError
from tests.conftest import quick


def test_of_many_who_make_a_run_of_one_name_at_the_same_moment_one_gets_it(store):
    def make(number):
        try:
            return store.create("a", quick({"train": {"seed": number}})).spec.train.seed
        except RunError as error:
            return str(error)

    with ThreadPoolExecutor(8) as people:
        for _ in range(5):
            answers = list(people.map(make, range(8)))
            (seed,) = (each for each in answers if isinstance(each, int))
            assert store.get("a").spec.train.seed == seed
            assert answers.count("There is already a run called 'a'; choose another name.") == 7
            assert [path.name for path in store.root.iterdir()] == ["a"]
            store.remove(store.get("a"))


def test_a_folder_that_cannot_be_written_is_named(store):
    store.root.parent.joinpath("file").write_text("")
    store.root = store.root.parent / "file"
    try:
        store.create("a", quick())
    except RunError as error:
        assert "file for runs cannot be written" in str(error)
    else:
        raise AssertionError


def test_a_run_remembers_the_preset_that_its_settings_were_laid_over(store):
    assert store.create("a", quick(), "small").preset == "small"
    assert store.get("a").preset == "small"


def test_a_run_of_an_older_version_names_no_preset(store):
    run = store.create("a", quick())
    assert run.preset == "" and not (run.folder / "preset.txt").exists()
