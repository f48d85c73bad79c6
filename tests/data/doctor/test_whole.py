"""What only the whole set shows."""

import time
import tracemalloc

from core.data.doctor import whole
from core.data.doctor.whole import Whole
from core.data.examples import Call, Example, Message, Source

TALE = (
    "Once upon a time there was a miller who had three sons, and when he died he left the mill to the first, the "
    "donkey to the second, and nothing but the cat to the third, who was sad about it for many a long day."
)


def example(question: str, answer: str, line: int = 1, **more) -> Example:
    return Example((Message("user", question), Message("assistant", answer)), Source("a.jsonl", line), **more)


def numbered(pairs) -> list[Example]:
    return [example(question, answer, line) for line, (question, answer) in enumerate(pairs, 1)]


def findings(examples, near=False):
    taken = Whole(near)
    for each in examples:
        taken.add(each)
    return list(taken.findings(examples))


def said(examples, near=False):
    return [(finding.index, finding.code) for finding in findings(examples, near)]


def test_a_repeated_row_points_at_the_first_of_its_kind():
    found = findings(numbered([("a", "1"), ("b", "2"), ("a", "1"), ("a", "1")]))
    assert [(each.index, each.code) for each in found] == [(2, "duplicate"), (3, "duplicate")]
    assert "a.jsonl:1;" in found[1].remark().why


def test_another_answer_is_said_once_and_its_copies_are_duplicates_of_it():
    found = findings(numbered([("a", "Paris."), ("a", "Lyon."), ("a", "Lyon."), ("a", "Paris.")]))
    assert [each.code for each in found] == ["other-answer", "duplicate", "duplicate"]
    assert "a.jsonl:1 asks the same but answers “Paris.”, not “Lyon.”" in found[0].remark().why
    assert "a.jsonl:2;" in found[1].remark().why


def test_rows_that_differ_in_role_tools_calls_or_weight_are_not_the_same():
    call = (Message("user", "a"), Message("assistant", "b", calls=(Call("f", "{}"),)))
    untrained = (Message("user", "a"), Message("assistant", "b", trained=False), Message("assistant", "c"))
    trained = (Message("user", "a"), Message("assistant", "b"), Message("assistant", "c"))
    source = Source("a.jsonl", 1)
    examples = [
        example("a", "b"),
        example("a", "b", tools=("{}",)),
        Example((Message("system", "a"), Message("assistant", "b")), source),
        Example(untrained, source),
        Example(trained, source),
        Example((Message("user", "ab"), Message("assistant", "")), source),
    ]
    for near in (False, True):
        assert said(examples, near) == []
        assert said([examples[0], Example(call, source)], near) == [(1, "other-answer")]


def test_rows_that_differ_only_in_case_spaces_and_punctuation_are_near_duplicates():
    examples = numbered([("Who was he?", TALE), ("who  was he", TALE.upper().replace(",", ""))])
    assert said(examples) == []
    (found,) = findings(examples, near=True)
    assert (found.index, found.code) == (1, "near-duplicate")
    assert "a.jsonl:1 (the same words)" in found.remark().why


def test_rows_with_few_other_words_are_near_duplicates_with_their_likeness():
    (found,) = findings(
        numbered([("Tell me.", TALE), ("tell me", TALE.replace("donkey", "goat"))]), near=True
    )
    assert found.code == "near-duplicate"
    assert "% of its pairs of words" in found.remark().why


def test_signs_of_arithmetic_and_numbers_make_a_difference():
    pairs = [("What is 3 + 4?", "It is 7."), ("What is 3 - 4?", "It is -1."), ("What is 3 + 5?", "It is 8.")]
    assert said(numbered(pairs), near=True) == []
    assert said(numbered([("?", "+"), ("!", "-")]), near=True) == []
    assert said(numbered([("?", "Yes, so it is."), ("!", "Yes, so it is.")]), near=True) == []


def test_questions_about_the_same_passage_are_no_near_duplicates():
    pairs = [("Who died?\n\n" + TALE, "The miller died."), ("Who got the cat?\n\n" + TALE, "The third son.")]
    assert said(numbered(pairs), near=True) == []


def test_near_duplicates_are_found_among_thousands_of_unlike_rows():
    words = [f"word{number}" for number in range(5000)]
    pairs = [
        (f"Topic {n}", " ".join(words[n * 7 % 4900 : n * 7 % 4900 + 80 : 1 + n % 2])) for n in range(2000)
    ]
    pairs[1500] = (pairs[3][0].upper(), pairs[3][1] + " indeed")
    assert (1500, "near-duplicate") in said(numbered(pairs), near=True)


def test_only_so_many_rows_are_compared_and_where_it_ends_is_said(monkeypatch):
    monkeypatch.setattr(whole, "LOOKS", 3)
    rows = [("Tell me of the fox" + "." * n, "A long tale of a fox and a crow" + "!" * n) for n in range(8)]
    assert said(numbered(rows), near=True) == [
        (1, "near-duplicate"),
        (2, "near-duplicate"),
        (3, "near-duplicates-unseen"),
    ]


def test_near_duplicates_are_looked_for_among_so_many_rows_and_where_that_ends_is_said(monkeypatch):
    monkeypatch.setattr(whole, "NEAR_ROWS", 4)
    rows = [("Tell me of the fox" + "." * n, "A long tale of a fox and a crow" + "!" * n) for n in range(8)]
    assert said(numbered([*rows, rows[0]]), near=True) == [
        (1, "near-duplicate"),
        (2, "near-duplicate"),
        (3, "near-duplicate"),
        (8, "duplicate"),
        (4, "near-duplicates-unseen"),
    ]


def test_an_answer_of_one_character_is_odd_only_where_most_are_long():
    sums = [(f"What is {n}?", str(n % 10)) for n in range(50)]
    assert said(numbered(sums)) == []
    tales = [(f"Tell tale {n}.", f"{TALE} {n}") for n in range(50)]
    assert said(numbered([*tales, ("And?", "?")])) == [(50, "very-short-answer")]
    assert said(numbered([*tales, ("How many?", "3")])) == []


def test_a_set_of_copies_is_told_at_once_and_sentences_are_made_when_asked_for():
    class Untouched(list):
        def __getitem__(self, at):
            raise AssertionError("an example was fetched although nothing of it is shown")

    examples = Untouched(
        numbered([(f"question {n % 10_000}", "an answer of some length") for n in range(100_000)])
    )
    whole = Whole()
    for each in examples:
        whole.add(each)
    begun = time.perf_counter()
    assert sum(found.code == "duplicate" for found in whole.findings(examples)) == 90_000
    assert time.perf_counter() - begun < 5


def test_an_example_takes_no_more_memory_for_being_long():
    whole = Whole(near=True)
    whole.add(example("warm", "up"))
    list(whole.findings([example("warm", "up")]))
    tracemalloc.start()
    for number in range(20_000):
        whole.add(example(f"question {number}", TALE * 3))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20_000 * 100 + 2_000_000  # 64 bytes each, and the texts of the last batch


def test_an_empty_set_has_no_findings():
    assert said([], near=True) == []


def test_texts_without_a_question_have_no_other_answers():
    texts = [Example((Message("assistant", words),), Source("a.txt", at)) for at, words in enumerate("abca")]
    assert said(texts) == [(3, "duplicate")]
