"""Headings and bold phrases: which are advice, which name a thing, and which ask a question by themselves."""

import re

from core.data.generate.fields import key_of
from core.data.generate.french import FEMININE, MASCULINE
from core.data.generate.lexicon import word_set
from core.data.generate.voice import Slots, capital, lower_first

FR_VERBS_IN_RE = word_set(
    "mettre prendre rendre permettre comprendre apprendre répondre connaître construire lire écrire faire produire "
    "réduire transmettre suivre vendre attendre défendre étendre entreprendre soumettre introduire inscrire "
    "décrire conduire traduire détruire admettre promettre reprendre restreindre atteindre joindre"
)
FR_NOT_VERBS = word_set(
    "dossier fichier courrier calendrier papier métier atelier cahier premier dernier avenir plaisir pouvoir devoir "
    "financier particulier routier janvier février chantier quartier clavier escalier entier régulier savoir "
    "hiver hier cher fier mer fer loisir soupir désir souvenir espoir miroir couloir trottoir soir"
)
AFTER_A_VERB = word_set(
    "le la les l’ l' un une des du de d’ d' son sa ses leur leurs vos votre nos notre mon ma mes ce cette ces au aux à "
    "en par pour avec sur dans chaque tout toute tous toutes plusieurs bien plus mieux et"
)
EN_VERBS = word_set(
    "install configure use run create build update upgrade remove delete add set enable disable start stop deploy "
    "manage secure protect choose write test check restore connect import export download contribute get change "
    "make find open close send read share access register submit verify monitor customize customise debug "
    "troubleshoot migrate publish request report contact order return cancel pay apply join leave invite print "
    "format edit define declare document prepare plan review approve handle"
)
NOT_TOPICS = word_set(
    "à a au aux de du des d en par pour sans sur avec dans et ou afin qui que dont ne pas si sous entre vers "
    "lorsque lorsqu quand comme dès des que car donc ainsi avant apres toujours jamais tres plus moins meme autre "
    "of to in on for with by and or if when where which that from at as not"
)
# What makes a clause of a phrase, or says that it is only the end of one.
FR_CLAUSE = re.compile(
    r"\b(?:est|sont|a|doit|doivent|peut|peuvent|sera|seront|ont|avez|êtes|était|reste|restent|donc|ne|qui|lui-même|"
    r"elle-même|eux-mêmes|elles-mêmes|il|ils|elle|elles|permet|fait|font|va|vont|\w+(?<!m)ent|vous|nous|on)\b",
    re.IGNORECASE,
)
EN_CLAUSE = re.compile(
    r"\b(?:is|are|was|were|must|should|can|may|will|has|have|do|does|not|itself|themselves|you|we|they|it)\b",
    re.IGNORECASE,
)
FR_NOT_A_NOUN = re.compile(
    r"\w+(?:ée?s?|ment|ants?|ables?|ibles?|ifs?|ives?|eux|euses?|ère|ères|[ie]?ales?|ielles?)"
)
FR_ADJECTIVES = word_set(
    "facile difficile nécessaire nécessaires possible possibles utile utiles conforme conformes propre propres "
    "obligatoire obligatoires minimum maximum libre simple simples rapide clair claire clairs claires soumis soumise "
    "requis requise reconnu reconnue reconnus connu connue connus prévu prévue seul seule certain certaine certains "
    "certaines chaque tout toute tous toutes sûr sûre unique uniques"
)
FR_NOUNS = FEMININE | MASCULINE | word_set("donnée idée entrée soirée arrivée employé salarié élément agent")
FR_SECOND_NOUN = re.compile(r" (?:et|ou) (?:à|des|les|le|la|un|une|l['’]|du) ?")
ARTICLES = word_set("le la les l un une des the a an")


def is_advice(phrase: str, language: str) -> bool:
    """Whether a phrase tells the reader to do something, or asks."""
    found = re.search(r"[\w’'-]+", phrase.casefold())
    first = found[0] if found else ""
    if language == "fr":
        return bool(re.fullmatch(r"\w+(?:ez|-vous)|\w+ez-\w+|ne|n’\w+|n'\w+", first)) or phrase.endswith("?")
    return first in EN_VERBS or first in ("do", "don't", "never", "always") or phrase.endswith("?")


def is_thing(phrase: str, language: str) -> bool:
    """Whether a phrase names something, as "les clés SSH" does, and "particulièrement sensibles" does not."""
    words = key_of(phrase).split(" ")
    first = words[0]
    clause = FR_CLAUSE if language == "fr" else EN_CLAUSE
    if first in NOT_TOPICS or clause.search(phrase) or phrase.endswith(("’", "'")):
        return False
    if first in ARTICLES:
        return len(words) > 1
    if language == "fr":
        shown = re.split(r"[\s’']", phrase.casefold())[0]
        if shown in FR_ADJECTIVES or FR_SECOND_NOUN.search(phrase):
            return False
        if shown.removesuffix("s") in FR_NOUNS or re.fullmatch(r"\w{2,}tés?", shown):
            return True
        verb = shown.endswith(("er", "ir")) or shown in FR_VERBS_IN_RE
        return shown in FR_NOT_VERBS or not (verb or FR_NOT_A_NOUN.fullmatch(shown))
    return not first.endswith(("ly", "ed")) or first in ("speed", "need", "seed", "feed", "bed")


def as_question(heading: str, language: str) -> tuple[str, Slots] | None:
    """A question that the heading itself asks: "Sécuriser les communications" -> « Comment sécuriser ... ? »."""
    if heading.endswith("?"):
        bare = heading.rstrip(" \u00a0\u202f?")
        mark = " ?" if language == "fr" else "?"
        return "question", {"Q": capital(bare) + mark, "q": lower_first(bare) + mark}
    words = heading.split()
    first = words[0].casefold() if words else ""
    if len(words) < 2 or len(heading) > 100:
        return None
    if language == "fr":
        begins = re.match(r"(?:[ldn]|qu)[’']", words[1]) or words[1].casefold() in AFTER_A_VERB
        ending = first.endswith(("er", "ir", "oir")) or first in FR_VERBS_IN_RE
        if begins and ending and first not in FR_NOT_VERBS:
            return "how", {"H": lower_first(heading)}
        return None
    if first == "how" and words[1].casefold() == "to" and len(words) > 2:
        return "how", {"H": " ".join(words[2:])}
    if first in EN_VERBS and words[1].casefold() not in ("and", "of", "for", "guide", "notes"):
        return "how", {"H": lower_first(heading)}
    if (
        first.endswith("ing")
        and len(first) > 5
        and first not in ("pricing", "meeting", "meetings", "building")
    ):
        return "gerund", {"H": lower_first(heading)}
    return None
