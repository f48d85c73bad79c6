import threading

import pytest

from core.evaluate.graders import find_expression, find_number, same_expression, same_number


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3 + 4 = 7\n#### 7", "7"),
        ("#### 5\nno, wait\n#### 7 apples (not 8)", "7"),
        ("She has 3, then 12.", "12"),
        ("That makes $1,200.50.", "1,200.50"),
        ("a debt of −4", "−4"),
        ("12 apples\n#### none", "12"),
        ("Half: .5", ".5"),
        ("They are 1,2,3", "3"),
        ("or 1,2,3,4", "4"),
        ("1,2,345", "345"),
        ("1,2345", "2345"),
        ("-1,200,300.5 in all", "-1,200,300.5"),
        ("soit 1\u202f200,50 €", "1\u202f200,50"),
        ("from 5 100 cars", "100"),
        ("pages 3-4", "4"),
        ("at (3,-4)", "-4"),
        ("1.2.3", "3"),
        ("Many.", None),
        ("", None),
    ],
)
def test_the_number_of_an_answer_is_the_one_after_the_marks_or_else_the_last(text, found):
    assert find_number(text) == found


@pytest.mark.parametrize(
    ("answer", "reference", "mark"),
    [
        ("#### 1,200", "#### 1200", 1),
        ("it is 18.00 dollars", "#### 18", 1),
        ("−4", "-4", 1),
        ("1 200 or 1\u202f200", "1200", 1),
        ("#### 7", "#### 8", 0),
        ("seven", "#### 7", 0),
        ("18.5", "18", 0),
        ("3,5", "35", 0),
        ("3,5", "3.5", 1),
        ("0,5", "5", 0),
        ("0,125", "#### 0.125", 1),
        ("12,50 €", "1250", 0),
        ("12.5", "12,50 €", 1),
        ("1,2,3", "123", 0),
        ("3-4", "-4", 0),
        ("1\u00a0200,50 €", "1,200.50", 1),
        ("10,000", "10000", 1),
    ],
)
def test_numbers_are_equal_by_value_and_none_is_wrong(answer, reference, mark):
    assert same_number(answer, reference) == mark


@pytest.mark.parametrize(
    ("answer", "reference", "mark"),
    [
        (r"So it is $\boxed{0.5}$.", r"\boxed{\frac{1}{2}}", 1),
        (r"\boxed{2\sqrt{3}}", r"$\boxed{\sqrt{12}}$", 1),
        (r"\boxed{(1, 2)}", r"\boxed{(1,2)}", 1),
        (r"The answer is $\frac12$", r"\boxed{\frac{1}{2}}", 1),
        (r"\boxed{3}", r"\boxed{4}", 0),
        (r"first \boxed{1}, no: \boxed{2}", r"\boxed{2}", 1),
        (r"first \boxed{1}, no: \boxed{2}", r"\boxed{1}", 0),
        (r"either \boxed{1}, \boxed{2}", r"\boxed{\{1, 2\}}", 0),
        ("I do not know.", r"\boxed{4}", 0),
    ],
)
def test_boxed_answers_are_compared_as_mathematics(answer, reference, mark):
    assert same_expression(answer, reference) == mark


def test_an_answer_in_which_nothing_can_be_read_is_told_apart():
    assert find_expression(r"thus \boxed{\frac{1}{2}}") == r"\frac{1}{2}"
    assert find_expression("I do not know.") is None


def test_mathematics_is_understood_outside_the_main_thread_too():
    found = []
    thread = threading.Thread(
        target=lambda: found.append(same_expression(r"\boxed{0.5}", r"\boxed{\frac12}"))
    )
    thread.start()
    thread.join()
    assert found == [1]
