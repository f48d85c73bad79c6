import random
import subprocess
import sys
from pathlib import Path

import pytest

from core.evaluate import modules
from core.evaluate.graders import GRADERS, grade
from core.evaluate.metrics import exact_match, f1, rouge, score_of, sentence_bleu, statistics, words

MODULES = Path(modules.__file__).parent


def sentences(count: int = 60) -> tuple[list[str], list[str]]:
    """Answers and references that share some of their words, in ASCII, with punctuation."""
    chance = random.Random(3)
    vocabulary = [
        "the",
        "a",
        "old",
        "king",
        "lived",
        "in",
        "forest,",
        "sons",
        "daughter.",
        "Once",
        "fox-hunt",
        "42",
    ]
    references = [" ".join(chance.choices(vocabulary, k=chance.randint(3, 15))) for _ in range(count)]
    said = [
        " ".join(word for word in each.split() if chance.random() < 0.8) + " " + chance.choice(vocabulary)
        for each in references
    ]
    return said, references


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


def test_f1_counts_common_words_wherever_they_stand():
    assert f1("the king died", "the old king") == pytest.approx(2 / 3)
    assert f1("king the", "The king!") == 1
    assert f1("a a a", "a") == pytest.approx(0.5)  # a word counts as often as both have it
    assert f1("", "a") == f1("...", "...") == 0


def test_rouge_l_counts_accented_words_whole():
    assert words("L'été, déjà!") == ["l", "été", "déjà"]
    assert rouge("un été froid", "un été chaud") == pytest.approx(2 / 3)
    assert rouge("été", "tt") == 0


def test_rouge_l_keeps_marks_inside_words_and_parts_what_is_written_without_spaces():
    assert words("हिन्दी में") == ["हिन्दी", "में"]
    assert rouge("白い兎です", "白い猫です") == pytest.approx(0.8)


def test_rouge_l_is_the_f1_of_the_longest_common_subsequence():
    # "a c d" is common: precision 3/4, recall 3/5.
    assert rouge("a x c d", "a b c d e") == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert rouge("", "a") == rouge("...", "a") == 0


@pytest.mark.parametrize("kind", ["rouge1", "rouge2", "rougeL"])
def test_rouge_of_ascii_text_is_that_of_rouge_score(kind):
    from rouge_score.rouge_scorer import RougeScorer

    theirs = RougeScorer([kind])
    for said, reference in zip(*sentences(), strict=True):
        assert rouge(said, reference, kind) == theirs.score(reference, said)[kind].fmeasure


def test_bleu_is_what_sacrebleu_prints_on_the_command_line(tmp_path):
    said, references = sentences()
    (tmp_path / "said").write_text("\n".join(said) + "\n")
    (tmp_path / "references").write_text("\n".join(references) + "\n")
    command = [sys.executable, "-m", "sacrebleu", str(tmp_path / "references"), "-i", str(tmp_path / "said")]
    for name, measure in (("BLEU", "bleu"), ("CHRF", "chrf")):
        printed = subprocess.run(
            [*command, "-m", measure, "-b", "-w", "10"], capture_output=True, text=True, check=True
        )
        ours = score_of(name, statistics(name, said, references).sum(0))
        assert ours == pytest.approx(float(printed.stdout), abs=1e-9)
        assert 20 < ours < 95


def test_bleu_and_chrf_of_the_module_are_of_all_rows_together(tmp_path):
    from sacrebleu import corpus_bleu, corpus_chrf

    from core.evaluate.modules.bleu.bleu import Module as Bleu
    from core.evaluate.modules.chrf.chrf import Module as Chrf

    said, references = sentences()
    for kind, theirs, name in ((Bleu, corpus_bleu, "bleu"), (Chrf, corpus_chrf, "chrf")):
        found = kind(cache_dir=str(tmp_path)).compute(predictions=said, references=references)
        assert found[name] == pytest.approx(theirs(said, [references]).score)
        assert len(found[f"{name}_rows"]) == len(said)


@pytest.mark.parametrize("name", ["exact_match", "f1", "rouge", "bleu", "chrf"])
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
    measures = [measure for measure, module in modules.TEXTUAL.items() if module == name]
    for measure in measures:
        mark = GRADERS[measure].mark
        assert loaded[f"{measure}_rows"] == [mark(*pair) for pair in zip(said, references, strict=True)]
    if name != "bleu" and name != "chrf":
        assert loaded[measures[0]] == sum(loaded[f"{measures[0]}_rows"]) / 2


def test_a_measure_carries_its_definition(tmp_path):
    from core.evaluate.modules.exact_match.exact_match import Module

    description = Module(cache_dir=str(tmp_path)).description
    assert description == GRADERS["exact_match"].measure.definition


def test_grading_gives_the_marks_that_were_asked_for_and_no_others():
    marks = grade(["bleu", "exact_match", "number"], ["It is 4.", "5"], ["It is 4.", "6"])
    assert marks == {
        "bleu": [pytest.approx(100), sentence_bleu("5", "6")],
        "exact_match": [1, 0],
        "number": [1.0, 0.0],
    }
    assert grade(["rouge_l"], [], []) == {"rouge_l": []}
