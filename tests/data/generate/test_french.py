"""French words that agree."""

import pytest

from core.data.generate.french import de, noun, spaced


@pytest.mark.parametrize(
    "name, expected",
    [
        ("Apache Maven", "d’Apache Maven"),
        ("Épinette", "d’Épinette"),
        ("7zip", "de 7zip"),
        ("HAProxy", "de HAProxy"),
        ("Yarn", "de Yarn"),
        ("onze", "de onze"),
        ("Œdipe", "d’Œdipe"),
        ("habitants", "d’habitants"),
        ("une page", "d’une page"),
        ("« Outil »", "de « Outil »"),
    ],
)
def test_de_elides_before_what_sounds_like_a_vowel(name, expected):
    assert de(name) == expected


@pytest.mark.parametrize(
    "phrase, le, du, quel",
    [
        ("licence", "la licence", "de la licence", "quelle licence"),
        ("statut", "le statut", "du statut", "quel statut"),
        ("auteur", "l’auteur", "de l’auteur", "quel auteur"),
        ("années", "les années", "des années", "quelles années"),
        ("prix", "le prix", "du prix", "quel prix"),
        ("pays d’origine", "le pays d’origine", "du pays d’origine", "quel pays d’origine"),
        ("adresse", "l’adresse", "de l’adresse", "quelle adresse"),
        ("conditionnement", "le conditionnement", "du conditionnement", "quel conditionnement"),
        ("horaires", "les horaires", "des horaires", "quels horaires"),
        ("installation", "l’installation", "de l’installation", "quelle installation"),
    ],
)
def test_articles_agree_with_the_noun(phrase, le, du, quel):
    found = noun(phrase)
    assert (found.le, found.du, found.quel) == (le, du, quel)


def test_a_noun_of_unknown_gender_is_not_guessed():
    assert noun("KXYZ") is None
    assert noun("") is None


def test_high_punctuation_has_a_no_break_space_and_times_do_not():
    assert (
        spaced("Quoi ? Oui ! « Bon » : 10:30 ; http://a")
        == "Quoi\u00a0? Oui\u00a0! «\u00a0Bon\u00a0»\u00a0: 10:30\u00a0; http://a"
    )
