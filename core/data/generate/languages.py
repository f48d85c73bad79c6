"""English or French, by the little words."""

import re
from functools import lru_cache

from core.data.generate.documents import Language
from core.data.generate.lexicon import word_set

SAMPLE = 60_000  # characters that are enough to tell
FRENCH = word_set(
    "le la les un une des du de et est dans pour par sur avec qui que ce cette ces vos votre au aux ou où en se "
    "son sa ses leur ne pas plus d l qu être sont il elle nous vous logiciel licence gestion outil serveur"
)
ENGLISH = word_set(
    "the a an and of to in is for with on by that this it are be as at from or your you can not which has have "
    "its will into when all use using software server tool based"
)


@lru_cache(8)
def language_of(text: str) -> Language:
    """French if its little words and accents outweigh the English ones."""
    found = re.findall(r"[^\W\d_]+", text[:SAMPLE].casefold())
    english = sum(word in ENGLISH for word in found)
    french = sum(word in FRENCH for word in found) + sum(not word.isascii() for word in found) // 2
    return "fr" if french > english else "en"
