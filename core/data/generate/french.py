"""French words that agree: articles, elision, plurals, and the spaces before high punctuation."""

import re
import unicodedata
from typing import NamedTuple

from core.data.generate.lexicon import word_set

# Consonants to the ear, though vowels to the eye, or numbers: no elision before them.
NOT_ELIDED = re.compile(r"(?:onze|onzi|oui|ouistiti|yaourt|yoga|yacht|uhlan|ululer)", re.IGNORECASE)
HIGH = re.compile(r"(?<=[^\s:;!?]) (?=(?:[;!?]|:(?!\w))(?:\s|$))|(?<=«) | (?=»)")
NO_BREAK = "\u00a0"

FEMININE_ENDINGS = ("tion", "sion", "té", "ure", "ence", "ance", "ie", "ique", "esse", "ude", "ette", "ée")
MASCULINE_ENDINGS = ("age", "ment", "eau", "isme", "oir", "ier", "at", "al", "el", "ant")
# Nouns of fields, whose gender the ending does not tell, or tells wrongly.
FEMININE = word_set(
    "licence version date année plateforme langue ville adresse marque taille couleur matière durée capacité "
    "puissance hauteur largeur longueur profondeur région province capitale monnaie devise population superficie "
    "quantité garantie origine composition rubrique section catégorie famille gamme série référence url page "
    "personne équipe entreprise société école note remarque source base classe unité valeur norme cible limite "
    "fin échéance fréquence vitesse température masse surface altitude latitude longitude espèce forme fonction "
    "fonctionnalité description présentation définition utilisation autrice clé étape tâche mesure exigence "
    "compétence spécialité discipline matrice salle distribution solution application partie part place"
)
MASCULINE = word_set(
    "statut état composant secteur groupe domaine thème type genre format logiciel parent contexte cas usage "
    "auteur éditeur fabricant fournisseur modèle prix tarif coût montant poids matériau pays département code "
    "téléphone courriel système public niveau objectif responsable contact service organisme stock effectif "
    "résumé nom titre sujet but rôle style mode moyen nombre numéro lieu pôle projet programme produit article "
    "outil support langage environnement site métier diplôme grade délai rythme volume débit risque impact "
    "critère horaire symbole sigle siège chef directeur propriétaire distributeur vendeur allergène ingrédient "
    "numérique âge siècle jour mois an climat relief fleuve livre musée monument réseau port protocole"
)


class Noun(NamedTuple):
    """A French noun phrase, as it stands in a sentence without an article."""

    text: str
    feminine: bool
    plural: bool = False

    @property
    def le(self) -> str:
        if self.plural:
            return f"les {self.text}"
        if elides(self.text):
            return f"l’{self.text}"
        return f"{'la' if self.feminine else 'le'} {self.text}"

    @property
    def du(self) -> str:
        if self.plural:
            return f"des {self.text}"
        return f"du {self.text}" if self.le.startswith("le ") else f"de {self.le}"

    @property
    def quel(self) -> str:
        return f"quel{'le' * self.feminine}{'s' * self.plural} {self.text}"

    def agree(self, adjective: str) -> str:
        """An adjective that takes -e and -s: "indiqué" -> "indiquées"."""
        return f"{adjective}{'e' * self.feminine}{'s' * self.plural}"

    @property
    def meme(self) -> str:
        if self.plural:
            return f"les mêmes {self.text}"
        return f"{'la' if self.feminine else 'le'} même {self.text}"

    @property
    def celui(self) -> str:
        return {(0, 0): "celui", (1, 0): "celle", (0, 1): "ceux", (1, 1): "celles"}[
            self.feminine, self.plural
        ]


def elides(text: str) -> bool:
    """Whether le, la, de, que lose their vowel before it: "l’outil", "d’Apache", but "de 7zip", "de HAProxy"."""
    first = unicodedata.normalize("NFD", text[:2])[:1].lower()
    if text[:3].lower() in ("hab", "hor", "heu", "his", "hum", "hon", "hôt"):  # mute, in names of fields
        return text[:1] == "h"
    return first in "aeiouœæ" and bool(first) and not NOT_ELIDED.match(text)


def de(text: str) -> str:
    return f"d’{text}" if elides(text) else f"de {text}"


def noun(phrase: str) -> Noun | None:
    """A field's name as a noun with its gender, judged by its first word; None if it cannot be told."""
    words = phrase.split()
    if not words:
        return None
    first = words[0].casefold()
    plural = first.endswith(("s", "x")) and first not in MASCULINE | FEMININE
    singular = first[:-1] if plural else first
    if singular in FEMININE or first in FEMININE:
        feminine = True
    elif singular in MASCULINE or first in MASCULINE:
        feminine = False
    elif len(singular) > 5 and singular.endswith(FEMININE_ENDINGS):
        feminine = True
    elif len(singular) > 5 and singular.endswith(MASCULINE_ENDINGS):
        feminine = False
    else:
        return None
    return Noun(phrase, feminine, plural)


def spaced(text: str) -> str:
    """French text with no-break spaces before ; : ! ? and inside « », where there were plain ones."""
    return HIGH.sub(NO_BREAK, text)
