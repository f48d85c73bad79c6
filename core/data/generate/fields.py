"""What a field is about, by its name, and its value as people write values."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from core.data.generate.documents import Field
from core.data.generate.lexicon import word_set

Kind = Literal["description", "licence", "version", "platform", "year", "other"]

NAMES = word_set(
    "nom name titre title logiciel software produit product application app outil tool libelle label intitule "
    "designation item term terme article projet project entry entree package module plugin book livre film "
    "movie country pays city ville"
)
# What the document's own word for an entry may be, in the plural as well.
NOUNS = {
    "logiciel": ("logiciel", "logiciels", False),
    "produit": ("produit", "produits", False),
    "application": ("application", "applications", True),
    "outil": ("outil", "outils", False),
    "projet": ("projet", "projets", False),
    "article": ("article", "articles", False),
    "livre": ("livre", "livres", False),
    "film": ("film", "films", False),
    "pays": ("pays", "pays", False),
    "ville": ("ville", "villes", True),
    "software": ("program", "programs", False),
    "product": ("product", "products", False),
    "app": ("app", "apps", False),
    "tool": ("tool", "tools", False),
    "project": ("project", "projects", False),
    "package": ("package", "packages", False),
    "book": ("book", "books", False),
    "movie": ("movie", "movies", False),
    "country": ("country", "countries", False),
    "city": ("city", "cities", False),
}
KINDS: dict[str, Kind] = {
    **dict.fromkeys(
        word_set(
            "description fonction fonctionnalite resume summary presentation definition purpose about role usage "
            "function utilite abstract"
        ),
        "description",
    ),
    **dict.fromkeys(word_set("licence license licences licenses"), "licence"),
    **dict.fromkeys(word_set("version release"), "version"),
    **dict.fromkeys(
        word_set("platform platforms plateforme plateformes language languages langage os"), "platform"
    ),
    **dict.fromkeys(word_set("annee annees year years date"), "year"),
}
ACCENTS = {
    "annee": "année",
    "annees": "années",
    "categorie": "catégorie",
    "categories": "catégories",
    "fonctionnalite": "fonctionnalité",
    "resume": "résumé",
    "definition": "définition",
    "presentation": "présentation",
    "editeur": "éditeur",
    "duree": "durée",
    "theme": "thème",
    "modele": "modèle",
    "reference": "référence",
    "capacite": "capacité",
    "matiere": "matière",
    "materiau": "matériau",
    "region": "région",
    "departement": "département",
    "telephone": "téléphone",
    "systeme": "système",
    "quantite": "quantité",
    "cout": "coût",
    "etat": "état",
    "numero": "numéro",
    "contexte usage": "contexte d’usage",
    "cas usage": "cas d’usage",
    "mode emploi": "mode d’emploi",
    "public vise": "public visé",
}
# Names of columns that point elsewhere, and whose values say nothing by themselves.
POINTERS = re.compile(
    r"(?:^|[\s_-])(?:id|ids|uuid|guid|key|cle|index|idx|url|urls|uri|link|links|lien|liens|href|site|website|"
    r"homepage|web|wikidata|sha\d*|hash|slug|image|logo|photo|thumbnail|email|e-mail)(?:$|[\s_-])"
)
EMPTY = frozenset(
    ("", "-", "--", "—", "–", "?", "n/a", "na", "nan", "null", "none", "nil", "nc", "n.c.", "/", ".")
)
NOT_SAID = frozenset(
    (
        "non précisé",
        "non précisée",
        "non renseigné",
        "non renseignée",
        "inconnu",
        "unknown",
        "unspecified",
        "not specified",
        "tbd",
    )
)
LICENCE = re.compile(
    r"(?:(?:A|L)?GPL|MIT|ISC|BSD|0BSD|Apache|MPL|EPL|EUPL|CC0?|CDDL|CECILL|Zlib|Unlicense|WTFPL|OSL|ZPL|AAL|ECL|"
    r"CPAL|CAL|APSL|Artistic|Beerware|Ruby|Sendmail|IPL|PHP|Python|PSF|Proprietary|SSPL|BUSL|Elastic|⊘)"
    r"(?:[-_ ]?[\dv].*|[-_ ](?:only|or|BY|SA|NC|ND|License|Clause).*|-.*)?",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"(?<=[.!?…])\s+(?=[A-ZÀ-ÖØ-Þ0-9«“\"])")


@lru_cache(100_000)
def key_of(name: str) -> str:
    """A name without case, accents and punctuation, to be looked up."""
    bare = unicodedata.normalize("NFD", name.casefold())
    bare = "".join(each for each in bare if not unicodedata.combining(each))
    return " ".join(re.findall(r"[\w/+#.]+", bare.replace("_", " ").replace("’", " ").replace("'", " ")))


@lru_cache(100_000)
def kind_of(name: str) -> Kind:
    first = key_of(name).split(" ")[0]
    return KINDS.get(first, "other")


@lru_cache(100_000)
def shown(name: str) -> str:
    """A field's name as it stands inside a sentence: "CAS D’USAGE" -> "cas d’usage", "annees" -> "années"."""
    text = re.sub(r"[_\s]+", " ", name).strip(" :")
    key = key_of(text.replace("-", " "))
    if key in ACCENTS:
        return ACCENTS[key]
    words = text.replace("-", " ").split(" ") if "-" in text and " " not in text else text.split(" ")
    first, rest = words[0], words[1:]
    if text.isupper() and len(text) > 4:
        first, rest = first.lower(), [word.lower() for word in rest]
    elif not first.isupper():
        first = first[:1].lower() + first[1:]
    return " ".join([ACCENTS.get(key_of(first), first), *rest])


def is_pointer(name: str) -> bool:
    return bool(POINTERS.search(key_of(name)))


def is_empty(value: str) -> bool:
    folded = value.casefold().strip()
    return folded in EMPTY or folded in NOT_SAID or not any(each.isalnum() for each in value)


def field(name: str, value: str) -> Field | None:
    """A field with its value's parts; None if it says nothing."""
    value = value.strip()
    if is_empty(value) or not name.strip():
        return None
    kind = kind_of(name)
    words = value.split(" ", 1)
    if len(words) == 2 and words[0].casefold() == name.split(" ")[0].casefold():
        value = words[1]  # "Version distribution" in a column called "Version"
    separator = r"\s*;\s*|\s+\|\s+"
    if kind == "licence":
        separator = r"\s*[;,/|]\s*|\s+(?:et|and|ou|or)\s+"
    elif kind == "platform":
        separator = r"\s*[;,/|]\s*"
    parts = tuple(part for part in re.split(separator, value) if part)
    if len(parts) < 2 or any(len(part) > 40 for part in parts):
        return Field(name, value, (value,))
    return Field(name, value, tuple(dict.fromkeys(parts)))


def opaque_columns(rows: Sequence[dict[str, str]], names: Sequence[str]) -> dict[str, str]:
    """Columns that no question can be asked about, and why: pointers, identifiers and check marks."""
    found = {}
    for name in names:
        values = [row[name] for row in rows if not is_empty(row.get(name, ""))]
        different = Counter(values)
        integers = sum(bool(re.fullmatch(r"#?\d+(?:\s*[;,]\s*\d+)*|Q\d+", value)) for value in values)
        known = kind_of(name) != "other" or _is_measure(name)
        if is_pointer(name) or (values and integers == len(values) and not known and _like_ids(different)):
            found[name] = "a column of identifiers or addresses, about which nothing can be asked"
        elif len(values) > 2 and len(different) == 1 and len(values[0]) <= 3:
            found[name] = "a column of check marks, which do not say what they mean"
    return found


def _like_ids(values: Counter[str]) -> bool:
    """Nearly every value is another one, as numbers that count things rarely are, or they are lists of numbers."""
    return len(values) > 4 and (
        len(values) >= 0.9 * sum(values.values()) or any(";" in value or "," in value for value in values)
    )


MEASURES = word_set(
    "prix price cost cout montant amount population superficie area surface poids weight taille size hauteur height "
    "largeur width longueur length duree duration quantite quantity stock effectif nombre number count total "
    "capacite capacity puissance power score note rating age altitude distance volume temperature debit speed "
    "vitesse annee year date salaire salary budget revenue chiffre tarif pages points places"
)


def _is_measure(name: str) -> bool:
    return bool(MEASURES & set(key_of(name).replace("-", " ").split()))


def name_column(rows: Sequence[dict[str, str]], names: Sequence[str]) -> str | None:
    """The column that says what a row is about: by its name, else the first with short and mostly different texts."""
    for name in names:
        if NAMES & {key_of(name), *key_of(name).split(" ")[:1]} and any(row.get(name) for row in rows):
            return name
    for name in names:
        values = [row[name] for row in rows if not is_empty(row.get(name, ""))]
        if (
            len(values) >= 0.8 * len(rows)
            and len(set(values)) >= 0.9 * len(values)
            and sum(map(len, values)) < 60 * len(values)
            and not is_pointer(name)
            and not all(re.fullmatch(r"[\d\s.,;:/#-]+|Q\d+", value) for value in values)
        ):
            return name
    return None
