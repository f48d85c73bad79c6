from pathlib import Path

import pytest

from core.evaluate import modules
from core.evaluate.metrics import EXACT_MATCH, exact_match, rouge_l, words

MODULES = Path(modules.__file__).parent


@pytest.mark.parametrize(
    ("said", "reference"),
    [
        ("Paris.", "paris"),
        ("  The White\n Rabbit ", "the white rabbit"),
        ("ＡＢＣ！", "abc"),
        ("STRASSE", "straße"),
        ("e\u0301te\u0301", "été"),
        ("Well…", "well"),
    ],
)
def test_exact_match_forgives_what_its_definition_says(said, reference):
    assert exact_match(said, reference) == 1


@pytest.mark.parametrize(
    ("said", "reference"),
    [("Paris, France", "Paris"), ("ete", "été"), ("4.2", "42"), ("", "Paris"), ("", "...")],
)
def test_exact_match_forgives_nothing_else(said, reference):
    assert exact_match(said, reference) == 0


def test_rouge_l_counts_accented_words_whole():
    assert words("L'été, déjà!") == ["l", "été", "déjà"]
    assert rouge_l("un été froid", "un été chaud") == pytest.approx(2 / 3)
    assert rouge_l("été", "tt") == 0


def test_rouge_l_keeps_marks_inside_words_and_parts_what_is_written_without_spaces():
    assert words("हिन्दी में") == ["हिन्दी", "में"]
    assert rouge_l("白い兎です", "白い猫です") == pytest.approx(0.8)


def test_rouge_l_is_the_f1_of_the_longest_common_subsequence():
    # "a c d" is common: precision 3/4, recall 3/5.
    assert rouge_l("a x c d", "a b c d e") == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert rouge_l("", "a") == rouge_l("...", "a") == 0


@pytest.mark.parametrize("name", ["exact_match", "rouge_l"])
def test_a_measure_loads_by_its_path_with_the_network_off_and_gives_the_same_scores(
    name, tmp_path, tmp_path_factory, monkeypatch
):
    import evaluate

    for call in ("socket.getaddrinfo", "socket.socket.connect"):
        monkeypatch.setattr(call, lambda *_, **__: pytest.fail("it went to the network"))
    # One folder for all: Python remembers where it found the package of the copies.
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", str(tmp_path_factory.getbasetemp() / "modules"))
    said, references = ["Der Hase.", "ein Igel läuft"], ["der hase", "ein Igel schläft"]
    loaded = evaluate.load(str(MODULES / name), cache_dir=str(tmp_path)).compute(
        predictions=said, references=references
    )
    score = {"exact_match": exact_match, "rouge_l": rouge_l}[name]
    assert loaded["rows"] == [score(*pair) for pair in zip(said, references, strict=True)]
    assert loaded[name] == sum(loaded["rows"]) / 2


def test_a_measure_carries_its_definition(tmp_path):
    from core.evaluate.modules.exact_match.exact_match import ExactMatch

    assert ExactMatch(cache_dir=str(tmp_path)).description == EXACT_MATCH.definition
