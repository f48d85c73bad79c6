"""Small documents, and what was made of them."""

import json
from pathlib import Path
from typing import Any

ENGLISH = """# Garden tools

[![build](https://img.example/badge.svg)](https://ci.example)

See [Contributing](#contributing).

- [Cutting](#cutting)
- [Digging](#digging)

## Cutting

Tools that *cut* [branches](https://en.example/branch) and grass, &amp; what keeps them sharp.[^1]

- [Lopper](https://lopper.example) - Cuts branches up to five centimetres. ([Source](https://src.example)) `MIT` `Steel/Wood`
- [Hand **Saw**](https://saw.example) `⚠` - Saws what the lopper cannot cut (alternative to an axe). `GPL-3.0` `Steel`
- [Shears](https://shears.example) - Trims hedges. `MIT` `Steel`

## Digging

- [Spade](https://spade.example) - Digs narrow holes in heavy soil. `Apache-2.0` `Steel/Wood`
- [Dibber](https://dibber.example) - Makes holes for bulbs. `MIT` `Wood`
- [Fork](https://fork.example) - Loosens the soil. `GPL-3.0` `Steel`

## Sharpening the blades

Sharpen every blade in March. Use a stone with water, and never a file, because a file takes too much away.

[^1]: A footnote that nobody should learn.
"""

FRENCH = """# Catalogue des outils

## Légende

Statut :

- R = recommandé
- O = en observation

## Jardinage

<table>
<thead><tr><th>LOGICIEL</th><th>FONCTIONNALITÉ</th><th>STATUT</th><th>LICENCE</th><th>VERSION FRANÇAISE</th></tr></thead>
<tbody>

<tr><td>Arrosoir</td><td>*Arrosage des semis*</td><td>R</td><td>GPL-3.0</td><td>X</td></tr>

<tr><td>Épinette</td><td>Taille des haies d&rsquo;ornement</td><td>O</td><td>MIT</td><td>X</td></tr>

<tr><td>Oliveraie\\_Plus</td><td>Suivi des oliviers</td><td>R</td><td>&#xa0;</td><td>X</td></tr>
<tr><td>Potager</td><td>Plan du potager</td><td>R</td><td>MIT</td><td>X</td></tr>
</tbody>
</table>

## Cuisine

<table>
<tr><th>LOGICIEL</th><th>FONCTIONNALITÉ</th><th>STATUT</th><th>LICENCE</th><th>VERSION FRANÇAISE</th></tr>
<tr><td>Marmite</td><td>Recettes de soupes</td><td>R</td><td>MIT</td><td>X</td></tr>
<tr><td>Huilier</td><td>Choix des huiles</td><td>O</td><td>GPL-3.0</td><td>X</td></tr>
</table>
"""

GUIDE = """# Fiche n°3 : Protéger son jardin

#### Un jardin bien protégé passe l'hiver, à condition que chacun sache ce qu'il doit couvrir et à quelle date il faut le faire.

## Couvrir les plantes fragiles

* **Posez un voile d'hivernage** dès que les gelées sont annoncées. Le voile laisse passer l'air et la lumière.

* **Les racines des agrumes** craignent le froid plus que les branches. Un paillis de dix centimètres les protège.

## Quand faut-il découvrir ?

Retirez les voiles après les derniers gels, en général à la mi-mai. Choisissez un jour couvert pour le faire.

## Mesurer le froid

Un relevé par jour suffit, au lever du soleil. Utilisez la commande suivante :

```bash
relever --maintenant
```

Cette commande écrit la température dans le carnet.
"""


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, "utf-8")
    return str(path)


def rows(path: str | Path) -> list[tuple[str, str]]:
    """The questions and answers in a file."""
    found = []
    for line in Path(path).read_text("utf-8").splitlines():
        user, assistant = json.loads(line)["messages"]
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        found.append((user["content"], assistant["content"]))
    return found


def sources(path: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]
