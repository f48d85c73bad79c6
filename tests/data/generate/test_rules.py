"""Documents -> questions and answers by rules."""

import re
from collections import Counter

import pytest

from core.data import read
from core.data.generate import as_dict, as_text, generate
from core.data.generate.drawing import assign
from core.data.generate.reading import documents
from core.errors import DataError
from tests.data.generate.making import ENGLISH, FRENCH, GUIDE, rows, sources, write


def made(tmp_path, text, name="doc.md", count=400, **options):
    generate([write(tmp_path, name, text)], "rule-based", count, tmp_path / "out.jsonl", **options)
    return rows(tmp_path / "out.jsonl")


def test_a_catalogue_list_becomes_records_with_licence_and_platform(tmp_path):
    (document,) = documents([write(tmp_path, "tools.md", ENGLISH)])
    saw = next(record for record in document.records if record.name == "Hand Saw")
    assert {field.name: field.parts for field in saw.fields} == {
        "description": ("Saws what the lopper cannot cut (alternative to an axe).",),
        "licence": ("GPL-3.0",),
        "platform": ("Steel",),
    }
    assert (saw.section, saw.passage.first) == ("Cutting", 15)
    assert (document.language, document.title) == ("en", "Garden tools")


def test_nothing_but_words_is_left_of_markup(tmp_path):
    pairs = made(tmp_path, ENGLISH)
    together = "\n".join(question + answer for question, answer in pairs)
    for trace in (
        "http",
        "](",
        "**",
        "*cut*",
        "`",
        "&amp;",
        "[^1]",
        "footnote",
        "badge",
        "⚠",
        "Contributing",
        "Source",
    ):
        assert trace not in together, trace
    assert "Tools that cut branches and grass, & what keeps them sharp." in together


def test_an_html_table_between_blank_lines_is_read_with_the_documents_own_legend(tmp_path):
    (document,) = documents([write(tmp_path, "outils.md", FRENCH)])
    assert not [section for section in document.sections if section.heading == "Légende"]  # it is understood
    found = {record.name: record for record in document.records}
    assert list(found) == ["Arrosoir", "Épinette", "Oliveraie_Plus", "Potager", "Marmite", "Huilier"]
    assert found["Arrosoir"].get("STATUT").value == "recommandé"
    assert found["Arrosoir"].get("FONCTIONNALITÉ").value == "Arrosage des semis"
    assert found["Épinette"].get("FONCTIONNALITÉ").value == "Taille des haies d’ornement"
    assert found["Oliveraie_Plus"].get("LICENCE") is None
    assert found["Arrosoir"].get("VERSION FRANÇAISE") is None  # a check mark says nothing
    lines = FRENCH.splitlines()
    assert all(
        record.name.replace("_", "\\_") in lines[record.passage.first - 1] for record in document.records
    )


def test_french_questions_elide_and_agree(tmp_path):
    pairs = made(tmp_path, FRENCH)
    asked = "\n".join(question for question, _ in pairs)
    assert "d'Arrosoir" in asked or "d’Arrosoir" in asked
    assert not re.search(r"\bde [AEIOUÉaeioué]\w+", asked.replace("de Oui", ""))
    assert not re.search(r"\b(?:la|le) statut", asked.replace("le statut", ""))
    assert "la fonctionnalité" in asked
    for question, _ in pairs:
        assert not re.search(r"[^\u00a0] ?[?!;]$", question.replace("\u00a0?", "")), question
        assert "« " not in question


def test_an_answer_holds_only_what_the_document_says(tmp_path):
    for text in (ENGLISH, FRENCH, GUIDE):
        pairs = made(tmp_path, text)
        plain = text.replace("\\_", "_").replace("&rsquo;", "’").replace("&amp;", "&")
        words = set(re.findall(r"\w+", re.sub(r"[*_`\[\]]|\(http\S+\)", " ", plain).casefold()))
        names = re.compile(r"\b[A-ZÉ]\w*[a-z-]*\d[\w.-]*|\b\w+-\d[\d.]*")
        for _, answer in pairs:
            for name in names.findall(answer):
                assert set(re.findall(r"\w+", name.casefold())) <= words, answer


def test_no_question_is_asked_twice_though_two_documents_say_the_same(tmp_path):
    names = [
        write(tmp_path, name, ENGLISH.replace("# Garden tools", "# Tools")) for name in ("one.md", "two.md")
    ]
    generate(names, "rule-based", 2000, tmp_path / "out.jsonl")
    pairs = rows(tmp_path / "out.jsonl")
    times = Counter(" ".join(re.findall(r"\w+", question.casefold())) for question, _ in pairs)
    assert max(times.values()) == 1
    assert len(pairs) > 150


def test_a_phrasing_does_not_come_twice_for_an_entry_before_the_others_were_used(tmp_path):
    fields = ("colour", "weight", "height", "length", "width", "price", "origin", "season")
    text = f"name,{','.join(fields)}\n" + "".join(
        f"Pear {n}," + ",".join(f"{field} {n}{at}" for at, field in enumerate(fields)) + "\n"
        for n in range(9)
    )
    pairs = made(tmp_path, text, "pears.csv", count=90)
    skeletons = [re.sub(rf"Pear \d|{'|'.join(fields)}", "X", question) for question, _ in pairs]
    for n in range(9):
        own = [
            each
            for each, (question, _) in zip(skeletons, pairs, strict=True)
            if re.findall(r"Pear \d", question) == [f"Pear {n}"]
        ]
        assert len(set(own)) == len(own) > 3


def test_questions_about_several_entries_have_the_whole_answer(tmp_path):
    pairs = made(tmp_path, ENGLISH, count=2000)
    listed = [
        answer
        for question, answer in pairs
        if re.search("(?:entries|list).*MIT", question) and "under “" not in question
    ]
    several = [answer for answer in listed if "Lopper" in answer]
    assert several and all(name in answer for answer in several for name in ("Lopper", "Shears", "Dibber"))
    assert not any(name in answer for answer in several for name in ("Spade", "Fork", "Saw"))
    counts = [answer for question, answer in pairs if "How many" in question and "Digging" in question]
    assert counts and all("3" in answer for answer in counts)


def test_what_a_document_does_not_say_is_asked_seldom_and_answered_so(tmp_path):
    text = FRENCH.replace("<td>&#xa0;</td>", "<td></td>")
    pairs = made(tmp_path, text, count=150)
    silent = [(q, a) for q, a in pairs if re.search("ne le précise pas|n['’]indique pas|ne figure pas", a)]
    assert 1 <= len(silent) <= 0.05 * len(pairs)
    assert all("Oliveraie_Plus" in question and "licence" in question for question, _ in silent)
    without = made(tmp_path, text, count=150, unanswerable=False)
    assert not any("n’indique pas" in answer or "ne figure pas" in answer for _, answer in without)


def test_prose_is_asked_about_by_its_headings(tmp_path):
    pairs = made(tmp_path, GUIDE)
    asked = {question: answer for question, answer in pairs}
    how = next(answer for question, answer in asked.items() if " couvrir les plantes fragiles" in question)
    assert "Posez un voile d'hivernage" in how and "paillis" in how
    when = next(answer for question, answer in asked.items() if "uand faut-il découvrir" in question)
    assert "mi-mai" in when
    points = [answer for question, answer in asked.items() if "Les racines des agrumes" in question]
    assert any("dix centimètres" in answer for answer in points)


def test_what_announces_code_or_points_back_at_it_is_left_out(tmp_path):
    together = "\n".join(answer for _, answer in made(tmp_path, GUIDE))
    assert "Un relevé par jour suffit" in together
    assert "Cette commande" not in together
    assert "commande suivante" not in together
    assert "relever --maintenant" not in together


def test_a_field_list_under_a_heading_is_a_record(tmp_path):
    text = (
        "# Fiches\n\n## Réseau\n\n### Écluse\n\n- **Fonction** : Filtrage du trafic\n- **Licence** : MIT\n\n"
    )
    text += "### Balise\n\n- **Fonction** : Mesure des délais\n- **Licence** : ISC\n"
    (document,) = documents([write(tmp_path, "fiches.md", text)])
    assert [(record.name, record.section) for record in document.records] == [
        ("Écluse", "Réseau"),
        ("Balise", "Réseau"),
    ]
    assert document.records[1].get("Licence").value == "ISC"
    pairs = made(tmp_path, text)
    assert any(re.search("d['’]Écluse", question) for question, _ in pairs)


def test_a_table_with_unknown_columns_is_asked_about_in_their_own_words(tmp_path):
    text = "nom,fonction,statut,identifiant_externe,KXYZ\n"
    text += "".join(
        f"Outil{n},Sert à {n} choses,{'R' if n % 2 else 'O'},{1000 + n},v{n % 3}\n" for n in range(8)
    )
    pairs = made(tmp_path, text, "outils.csv", language="fr")
    asked = "\n".join(question for question, _ in pairs)
    assert "« KXYZ »".replace(" ", "\u00a0") in asked
    assert "identifiant" not in asked  # a number in another system says nothing


def test_definitions_front_matter_and_pipe_tables_are_read(tmp_path):
    text = "---\ntitle: Weather words\nauthor: Ann Gale\n---\n\nGale\n: A strong wind of sixty kilometres an hour.\n\n"
    text += "Squall\n: A sudden wind.\n\n## Clouds\n\n| Name | Height |\n|---|---|\n| Cirrus | 8 km |\n| Stratus | 1 km |\n"
    (document,) = documents([write(tmp_path, "weather.md", text)])
    found = {record.name: {field.name: field.value for field in record.fields} for record in document.records}
    assert found["Gale"] == {"description": "A strong wind of sixty kilometres an hour."}
    assert found["Cirrus"] == {"Height": "8 km"}
    assert found["Weather words"] == {"author": "Ann Gale"}
    pairs = made(tmp_path, text, count=1000)
    assert any(
        "height" in question and "Stratus" in question and "1 km" in answer for question, answer in pairs
    )


def test_jsonl_records_are_read_and_question_answer_rows_sent_to_augmented(tmp_path):
    lines = '{"name": "Oak", "height": "30 m", "url": "https://o.example"}\n{"name": "Ash", "height": "20 m", "url": "https://a.example"}\n'
    pairs = made(tmp_path, lines, "trees.jsonl")
    assert any("Oak" in question and "30 m" in answer for question, answer in pairs)
    assert "https" not in str(pairs)
    answers = write(tmp_path, "qa.jsonl", '{"question": "Who?", "answer": "I."}\n')
    with pytest.raises(DataError, match="--method augmented"):
        generate([answers], "rule-based", 5, tmp_path / "qa-out.jsonl")


def test_a_name_with_two_values_is_not_asked_about(tmp_path):
    text = "name,colour\nRobin,red\nRobin,brown\nWren,brown\nFinch,green\n"
    asked = "\n".join(question for question, _ in made(tmp_path, text, "birds.csv"))
    assert "Wren" in asked
    assert not re.search("colour of Robin", asked)


def test_no_passage_is_on_two_sides_and_the_sides_have_their_share(tmp_path):
    text = "# Plants\n" + "".join(
        f"\n## Bed {bed}\n\n"
        + "".join(
            f"- [Plant {bed}-{n}](http://x) - Grows {bed * n} leaves. `MIT` `Soil`\n" for n in range(12)
        )
        for bed in range(20)
    )
    done = generate(
        [write(tmp_path, "plants.md", text)], "rule-based", 500, tmp_path / "out.jsonl", split=True
    )
    assert list(done.rows.values()) == [400, 50, 50]
    sides: dict[tuple, set[str]] = {}
    for source in sources(tmp_path / "out.sources.jsonl"):
        for passage in source["passages"]:
            sides.setdefault((passage["file"], *passage["lines"]), set()).add(source["rows"])
    assert len(sides) > 200
    assert all(len(files) == 1 for files in sides.values())


def beds(number: int) -> str:
    """A document of so many passages, each of which is asked about in several ways."""
    return "# Plants\n" + "".join(
        f"\n## Plant {bed}\n\nPlant {bed} grows {bed * 7} leaves in a year and needs a bed of its own, with sand below.\n"
        for bed in range(1, number + 1)
    )


@pytest.mark.parametrize(
    ("passages", "count", "expected"),
    [(2, 2, [1, 1, 0]), (2, 5, [4, 1, 0]), (3, 3, [1, 1, 1]), (3, 6, [4, 1, 1]), (9, 10, [8, 1, 1])],
)
def test_of_two_rows_or_more_one_is_held_out_and_it_is_said_that_this_is_few(
    tmp_path, passages, count, expected
):
    name = write(tmp_path, "plants.md", beds(passages))
    done = generate([name], "rule-based", count, tmp_path / "out.jsonl", split=True)
    assert list(done.rows.values()) == expected
    assert f"Only 1 row to validate on and {expected[2]} row" in as_text(done)
    assert as_dict(done)["notes"] == list(done.notes) != []


def test_each_side_has_a_block_where_there_are_three_however_much_one_of_them_holds():
    weights = {"long": 2000, "a": 40, "b": 40}
    for seed in range(20):
        assert set(assign(weights, True, seed).values()) == {"train", "validation", "test"}


def test_rows_about_one_passage_are_not_torn_apart_and_a_sentence_says_what_to_do(tmp_path):
    name = write(tmp_path, "plants.md", beds(1))
    done = generate([name], "rule-based", 3, tmp_path / "out.jsonl", split=True)
    assert list(done.rows.values()) == [3, 0, 0]
    assert "Nothing is held out" in as_text(done) and "Leave --split out" in as_text(done)
    alone = generate([name], "rule-based", 3, tmp_path / "whole.jsonl")
    assert alone.notes == ()


def test_each_row_has_its_source_by_line(tmp_path):
    name = write(tmp_path, "tools.md", ENGLISH)
    generate([name], "rule-based", 80, tmp_path / "out.jsonl")
    pairs, found = rows(tmp_path / "out.jsonl"), sources(tmp_path / "out.sources.jsonl")
    assert [source["line"] for source in found] == list(range(1, len(pairs) + 1))
    lines = ENGLISH.splitlines()
    for (question, _), source in zip(pairs, found, strict=True):
        for passage in source["passages"]:
            assert passage["file"] == name
            if source["kind"] == "licence":
                assert passage["text"].split(" - ")[0] in question
                assert "`" in lines[passage["lines"][0] - 1]


def test_the_same_seed_makes_the_same_files_and_another_seed_others(tmp_path):
    name = write(tmp_path, "tools.md", ENGLISH)
    texts = []
    for at, seed in enumerate((7, 7, 8)):
        generate([name], "rule-based", 60, tmp_path / f"{at}.jsonl", seed=seed)
        texts.append((tmp_path / f"{at}.jsonl").read_text("utf-8"))
    assert texts[0] == texts[1] != texts[2]


def test_fewer_rows_than_asked_for_are_said_to_be_fewer(tmp_path):
    done = generate([write(tmp_path, "tools.md", ENGLISH)], "rule-based", 100_000, tmp_path / "out.jsonl")
    assert 100 < done.made < 100_000
    assert "do not hold more" in as_text(done)
    assert as_dict(done)["made"] == done.made


def test_the_rows_are_read_back_without_a_warning(tmp_path):
    names = [write(tmp_path, f"{at}.md", text) for at, text in enumerate((ENGLISH, FRENCH, GUIDE))]
    done = generate(names, "rule-based", 300, tmp_path / "out.jsonl")
    report = read([str(tmp_path / "out.jsonl")])
    assert report.kept == done.made
    assert not [problem for problem in report.problems if problem.code != "mixed-languages"]


def test_a_document_without_structure_gives_a_sentence(tmp_path):
    name = write(
        tmp_path,
        "empty.txt",
        "just a few words without a heading, and nothing else that could be asked about\n",
    )
    with pytest.raises(DataError, match="No question can be made"):
        generate([name], "rule-based", 10, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_files_of_others_are_not_written_over(tmp_path):
    name = write(tmp_path, "tools.md", ENGLISH)
    mine = write(tmp_path, "mine.jsonl", "precious\n")
    with pytest.raises(DataError, match="not made here"):
        generate([name], "rule-based", 10, mine)
    with pytest.raises(DataError, match="is read"):
        generate([mine], "augmented", 10, mine)
    assert (tmp_path / "mine.jsonl").read_text() == "precious\n"
    for _ in range(2):  # what was made here may be made again
        generate([name], "rule-based", 10, tmp_path / "again.jsonl")


def test_an_old_western_encoding_is_read(tmp_path):
    path = tmp_path / "vieux.md"
    path.write_bytes(FRENCH.replace("’", "'").encode("cp1252"))
    (document,) = documents([str(path)])
    assert "Épinette" in [record.name for record in document.records]


def test_a_value_in_two_spellings_is_one_value_where_entries_are_counted(tmp_path):
    text = (
        "nom,secteur,prix\nAbri,Bois & Fer,3 €\nBanc,bois et fer,4 €\nCuve,Plastique,5 €\nDalle,Pierre,6 €\n"
    )
    pairs = made(tmp_path, text, "objets.csv", language="fr")
    both = [answer for question, answer in pairs if "Bois & Fer" in question and "Abri" not in question]
    assert any("Abri" in answer and "Banc" in answer for answer in both)
