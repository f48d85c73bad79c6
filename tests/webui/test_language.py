"""English and French: nothing that a person reads on the page is without French, and core's sentences are found again with
their values in them."""

import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from string import Formatter

import pytest
import yaml

from core.compare.retrieval import Request
from core.data.files.opening import check_there
from core.data.intake import read
from core.errors import UserError
from core.models import on_the_hub
from core.presets import resolve
from core.runs import jobs
from core.spec import RunSpec
from core.talk.listener import listener
from tests.webui.sentences import OTHERS, sentences
from tests.webui.spoken import untold, words
from webui import language
from webui.sentences import Catalogue

FRENCH = language.LOCALE / "fr"
ENGLISH_WORDS = re.compile(
    r"(?<![\w.{=/-])(the|and|of|is|are|was|were|with|not|this|that|which|from|your|it|has|have|be|to|by|or)(?![\w.}=-])"
)
CODE = re.compile(
    r"`[^`]*`|“[^”]*”|«[^»]*»|\{\"[^}]*\}|\[\"?[\[{].*\]|\bpip install [\w =]+|report_to: wandb"
)


def catalogue(folder):
    """Each English text with its French, and the file that has it."""
    for path in sorted(folder.glob("*.yaml")):
        for key, value in yaml.safe_load(path.read_text("utf-8")).items():
            yield path.name, key, value


def everything():
    return [*catalogue(FRENCH), *catalogue(FRENCH / "core")]


def gaps(text):
    """Fields of a text as often as they are there; `{}` and `{0}` alike."""
    fields = [field for _, field, *_ in Formatter().parse(text) if field is not None]
    return Counter("" if field.isdecimal() else field for field in fields)


def test_every_sentence_of_core_has_french():
    french = language.core_words("fr")
    assert [each for each in sentences() if each.text not in french] == []


def test_no_sentence_has_french_that_core_no_longer_says():
    said = {each.text for each in [*sentences(), *OTHERS]}
    forms = Catalogue({key: key for key in said})
    assert [
        key for _, key, _ in catalogue(FRENCH / "core") if key not in said and not list(forms.found(key))
    ] == []


def test_every_word_of_the_page_has_french():
    french = language.words("fr")
    assert [f"{where}: {word}" for word, where in words().items() if word not in french] == []


def test_it_is_known_what_the_page_says():
    assert untold() == []


def test_no_word_has_french_that_the_page_no_longer_says():
    said = words()
    assert [f"{file}: {key}" for file, key, _ in catalogue(FRENCH) if key not in said] == []


@pytest.mark.parametrize("folder", [FRENCH, FRENCH / "core"], ids=["page", "core"])
def test_the_same_words_have_the_same_french_everywhere(folder):
    found = defaultdict(set)
    for _, key, value in catalogue(folder):
        found[key].add(value)
    assert {key: values for key, values in found.items() if len(values) > 1} == {}


def test_every_sentence_is_found_by_its_own_words():
    wrong = []
    for _, key, value in catalogue(FRENCH / "core"):
        if "{}" in key:
            values = [f"v{at}" for at in range(gaps(key).total())]
            said, expected = language.french(key.format(*values)), value.format(*values)
            if said.lower() != expected.lower():
                wrong.append((said, expected))
    assert wrong == []


def test_french_has_the_gaps_of_the_english():
    wrong = []
    for file, key, value in everything():
        if gaps_of(key) != gaps_of(value):
            wrong.append(f"{file}: {key}")
    assert wrong == []


def gaps_of(text):
    return gaps(text) if re.search(r"\{\w*(:[^{}]*)?\}", text) else Counter()


def test_no_english_is_left_in_the_french():
    assert [
        f"{file}: {value}" for file, _, value in everything() if ENGLISH_WORDS.search(CODE.sub("", value))
    ] == []


def test_french_is_set_as_french():
    wrong = {
        "a straight apostrophe": re.compile(r"(?<=[A-Za-zÀ-ÿ])'(?=[A-Za-zÀ-ÿ])"),
        "a space that breaks before a sign": re.compile(r"[ ](?:[:;!?](?=[\s).]|$)|»)|«[ ]"),
        "no space before a sign": re.compile(r"[\wÀ-ÿ)»}][;!?](?=\s|$)|(?<![._\w])[a-zà-ÿ]+:(?=\s)"),
    }
    found = [
        f"{file}: {what}: {value}"
        for file, _, value in everything()
        for what, sign in wrong.items()
        if sign.search(re.sub(r"`[^`]*`|[{\[]+\".*[}\]]", "", value))
    ]
    assert found == []


def refusals(tmp_path):
    """What a person did, and what core says of it; the words that the French must have."""
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"prompt": "Who?"\n')
    empty = tmp_path / "empty"
    empty.mkdir()
    yield (
        lambda: RunSpec.from_dict({"train": {"learning_rat": 1}}),
        ("Il n’y a pas de réglage 'train.learning_rat'. Vouliez-vous dire 'train.learning_rate' ?"),
    )
    yield (
        lambda: RunSpec.from_dict({"train": {"epochs": -1}}),
        ("train.epochs vaut -1 : la valeur doit être supérieure à 0."),
    )
    yield (
        lambda: RunSpec.from_dict({"method": {"kind": "loar"}}),
        (
            "method.kind vaut 'loar' : la valeur doit être 'full', 'lora', 'qlora', 'dora', 'rslora' ou 'pissa'. "
            "Vouliez-vous dire 'lora' ?"
        ),
    )
    yield (
        lambda: RunSpec.from_dict({"train": {"micro_batch_size": 32, "batch_size": 16}}),
        ("train.micro_batch_size (32) dépasse train.batch_size (16), dont il est une partie."),
    )
    yield lambda: resolve("huge"), "Il n’y a pas de préréglage 'huge' ; il y a tiny, small, 3090."
    yield (
        lambda: on_the_hub("qwen3:600b"),
        (
            "model.base : il n’y a pas de modèle au nom court 'qwen3:600b'. Vouliez-vous dire 'qwen3:0.6b' ? `atelier models` "
            "en donne la liste ; tout autre modèle du Hub s’écrit owner/name."
        ),
    )
    yield (
        lambda: check_there([str(tmp_path / "none.jsonl")]),
        (f"Il n’y a pas de fichier {tmp_path}/none.jsonl : vérifiez l’orthographe de son chemin."),
    )
    yield lambda: check_there([str(empty)]), f"Le dossier {empty} ne contient aucun fichier de données"
    yield (
        lambda: read([str(torn)]),
        (
            f"Rien dans {torn} n’est utilisable. La ligne se termine avant son objet. Mettez l’objet entier sur une seule ligne"
        ),
    )
    yield lambda: Request(documents=()), "Indiquez les documents où chercher des passages"
    yield lambda: listener("203.0.113.1", 80), "Impossible d’écouter sur 203.0.113.1 port 80 ("


def in_french(sentence):
    """With plain spaces."""
    return language.french(sentence).replace("\u00a0", " ")


def test_what_core_refuses_is_refused_in_french(tmp_path):
    for act, expected in refusals(tmp_path):
        with pytest.raises(UserError) as refused:
            act()
        assert expected in in_french(str(refused.value))


def test_an_unknown_run_and_one_in_the_wrong_state_are_refused_in_french(store):
    with pytest.raises(UserError) as refused:
        store.get("poems")
    assert in_french(str(refused.value)).startswith(
        f"Il n’y a pas d’exécution nommée 'poems' dans {store.root} ; "
    )
    run = store.create("poems", RunSpec())
    with pytest.raises(UserError) as refused:
        jobs.pause(run)
    assert in_french(str(refused.value)) == (
        "L’exécution 'poems' n’est pas en train de s’entraîner ; il n’y a rien à mettre en pause."
    )


@pytest.mark.parametrize(
    "english, french",
    [
        (
            "Publishing to me/x failed while looking for the repo: https://hub.test cannot be reached; check the network and "
            "HF_ENDPOINT, then run the same command again.",
            "La publication dans me/x a échoué pendant cette opération : recherche du dépôt (https://hub.test est injoignable ; "
            "vérifiez le réseau et HF_ENDPOINT, puis relancez la même commande).",
        ),
        (
            "The job ended with ERROR. Its last lines: a. `atelier resume poems` goes on from step 1,200, which is saved.",
            "Le job s’est terminé avec ERROR. Ses dernières lignes : a. `atelier resume poems` reprend au pas 1\u202f200, qui "
            "est enregistré.",
        ),
        (
            "The learning rate is 0.0002: 10 times full training's, halved for so large a base.",
            "Le taux d’apprentissage est de 0,0002 : 10 fois celui d’un entraînement complet, divisé par deux pour une base "
            "aussi grande.",
        ),
        ("Fewer than 20 rows are held out (12): no change is clear with so few.",
         "Moins de 20 lignes sont tenues à l’écart (12) : avec si peu, aucun changement n’est net."),
        ("The keys `a`, `b` and 3 more are no known shape; the nearest is alpaca.",
         "Les clés `a`, `b` et 3 autres n’ont pas de forme connue ; la plus proche est alpaca."),
    ],
)  # fmt: skip
def test_a_sentence_within_a_sentence_is_in_french_too(english, french):
    assert in_french(english) == french


@pytest.mark.parametrize(
    "english",
    [
        "The run 'the answer' is not paused.",
        "There is no file the answer.csv: look at the spelling of its path.",
        "There is no column `the question` for data.columns.question; the columns are `text` and `the answer`.",
    ],
)
def test_names_of_people_s_own_stay_as_they_are(english):
    for name in re.findall(r"'[^']+'|`[^`]+`|the answer\.csv", english):
        assert name in language.french(english)


@pytest.mark.parametrize(
    "english, french",
    [
        ("1,234.5", "1\u202f234,5"), ("1234.5", "1234,5"), ("-0.5", "-0,5"), ("95%", "95\u00a0%"), ("2.5e-05", "2,5e-05"),
        ("0.5 [0.4, 0.6]", "0,5 [0,4\u00a0; 0,6]"), ("12,345 rows", "12\u202f345 lignes"), ("1.5 GB", "1,5 Go"),
        ("2.13.0", "2.13.0"), ("2026-11-21", "2026-11-21"), ("10.0.0.1", "10.0.0.1"), ("/a/1.5/b", "/a/1.5/b"),
        ("`pip install x==0.4`", "`pip install x==0.4`"), ("llama-3.2-1b", "llama-3.2-1b"), ("3.14.txt", "3.14.txt"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_in_french_and_names_are_not(english, french):
    assert language.french(english) == french


def test_what_is_not_known_stays_english():
    assert (
        language.french("Nobody ever said this here, of all things.")
        == "Nobody ever said this here, of all things."
    )


SIZES = "".join(
    f"size mismatch for layers.{n}.weight: copying a param with shape torch.Size([64, 64]) from checkpoint, the shape in "
    "current model is torch.Size([128, 64]).\n"
    for n in range(600)
)


@pytest.mark.parametrize(
    "english",
    [
        SIZES, ("the run of it and that, or this; " * 30 + "\n") * 95, "The run is not there. " * 4500, "a b or " * 280,
        "a b or " * 14000, "x (" * 33000, "x is y: " * 30, ("is " + "of the run {} " * 140 + "\n") * 50, "\n" * 100_000,
        "9" * 100_000, "1,111." * 16_000, "the run \ud800 " * 9000, "a. " * 28,
    ],
    ids=range(13),
)  # fmt: skip
def test_a_text_of_any_length_and_make_is_read_at_once(english):
    began = time.monotonic()
    assert language.french(english)
    assert time.monotonic() - began < 2


def test_the_lines_of_a_long_text_are_in_french_each_by_itself():
    said = in_french(f"{'x' * 5000}\nThere is no preset 'huge'; there are tiny.\n\n{'y' * 5000}\n")
    assert said == f"{'x' * 5000}\nIl n’y a pas de préréglage 'huge' ; il y a tiny.\n\n{'y' * 5000}\n"


@pytest.mark.parametrize(
    "accepted, spoken",
    [
        ("fr-FR,fr;q=0.9,en-US;q=0.8,en;q=0.7", "fr"),
        ("fr", "fr"),
        ("FR-ca", "fr"),
        ("en-US,en;q=0.9,fr;q=0.8", "en"),
        ("de-DE,de;q=0.9,fr;q=0.5", "en"),
        ("fro", "en"),
        ("*", "en"),
        ("", "en"),
    ],
)
def test_the_language_is_that_of_the_browser(accepted, spoken):
    assert language.preferred(accepted) == spoken


def test_what_core_says_is_read_only_when_somebody_asks_for_it():
    script = "from webui import language; language.i18n(); print(language.core_words.cache_info().currsize)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "0", ran.stderr
