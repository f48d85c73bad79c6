"""Headings and bold phrases: what can be asked about them."""

import pytest

from core.data.generate.phrases import as_question, is_advice, is_thing


@pytest.mark.parametrize(
    "phrase, language, thing",
    [
        ("clés SSH", "fr", True),
        ("données sensibles", "fr", True),
        ("sécurité des postes", "fr", True),
        ("stockées sur le terminal", "fr", False),
        ("les cas d’oubli", "fr", True),
        ("purge automatique", "fr", True),
        ("facile d’accès", "fr", False),
        ("particulièrement sensibles", "fr", False),
        ("réduire leur précision", "fr", False),
        ("interface web et des outils annexes", "fr", False),
        ("plusieurs personnes développent en même temps", "fr", False),
        ("aux données dont il a besoin", "fr", False),
        ("code lui-même", "fr", False),
        ("access keys", "en", True),
        ("of the server", "en", False),
        ("keys must rotate", "en", False),
    ],
)
def test_a_thing_is_told_from_a_piece_of_a_sentence(phrase, language, thing):
    assert is_thing(phrase, language) == thing


def test_advice_is_told_from_a_thing():
    assert is_advice("Posez un voile", "fr") and is_advice("« Versionnez » la documentation", "fr")
    assert is_advice("Install the server", "en")
    assert not is_advice("Un voile d’hivernage", "fr") and not is_advice("The server", "en")


@pytest.mark.parametrize(
    "heading, language, asked",
    [
        ("Sécuriser les communications", "fr", ("how", "sécuriser les communications")),
        ("Fichier des clients", "fr", None),
        ("Premier pas", "fr", None),
        ("Install the server", "en", ("how", "install the server")),
        ("How to feed birds", "en", ("how", "feed birds")),
        ("Feeding birds in winter", "en", ("gerund", "feeding birds in winter")),
        ("Pricing", "en", None),
        ("Data retention", "en", None),
    ],
)
def test_a_heading_asks_its_own_question_only_if_it_surely_does(heading, language, asked):
    found = as_question(heading, language)
    assert (found and (found[0], found[1]["H"])) == asked


def test_a_heading_that_is_a_question_is_asked_as_it_is():
    assert as_question("Qui informer ?", "fr") == ("question", {"Q": "Qui informer ?", "q": "qui informer ?"})
