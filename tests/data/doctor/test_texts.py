"""What is said about the texts of a conversation, and what is not."""

import time

import pytest

from core.data.doctor.texts import LONG, about
from core.data.examples import Call, Message
from core.data.remarks import RowError


def codes(answer: str, question: str = "What is it?") -> list[str]:
    return [remark.code for remark in about((Message("user", question), Message("assistant", answer)))]


def only(answer: str, question: str = "What is it?"):
    (remark,) = about((Message("user", question), Message("assistant", answer)))
    return remark


@pytest.mark.parametrize(
    "answer",
    [
        "Hello, I am {{name}}, made by {{ author }}.",
        "Dear [Recipient’s Name],\nyours, [Your Name]",
        "Bonjour [Nom], voici [votre adresse].",
        "尊敬的[您的姓名]",
        "Dear <insert name here>,",
        "Sincerely, <YOUR NAME>",
        "The parties are {Company Name} and {customer_name}.",
        "Lorem ipsum dolor sit amet",
        "TODO: write this",
        "Call XXX-XXXX",
        "<nooutput>",
    ],
)
def test_a_gap_that_was_never_filled_is_said(answer):
    assert codes(answer) == ["placeholder"]


@pytest.mark.parametrize(
    "answer",
    [
        r"$\frac{{a}}{{b}}$ and \text{name} and \mathbf{{date}} and x_{number}",
        r"\[x\] [asy] draw [ABC] \sqrt[3]{x}, area [ABCD]",
        "a[i + 1] = b[name]; [1, 2, 3] [citation needed] [...]",
        'print(f"Hello {name}")\nreturn "{date}".format(date=1)',
        '{"name": "Ann", "date": {"year": 1}}',
        "<html><title>x</title><table><td>y</td></table> <noun> <iostream>",
        "See [the name](https://example.org) and [name]: it.",
        "```jinja\nDear {{ name }}, [Your Name]\n``` and `{{name}}`",
        "Super Bowl XXX was in 1996, and Louis XIX ruled for 20 minutes. Todo es posible. TODO EL DÍA",
    ],
)
def test_code_formulas_and_links_are_no_gaps(answer):
    assert "placeholder" not in codes(answer, "Write some html code")


def test_a_gap_that_the_question_shows_is_meant():
    assert codes("Yours, [Your Name]", "Shorten: Yours truly, [Your Name]") == []
    assert codes("Hello {{name}}", "Greet {{name}}") == ["placeholder"]


def test_a_gap_is_said_with_its_place():
    turns = (
        Message("user", "Hi"),
        Message("assistant", "Hello [Name]"),
        Message("user", "?"),
        Message("assistant", "!"),
    )
    assert about(turns)[0].why.startswith("Message 2 of 4 holds `[Name]`")
    assert only("Hello [Name]").why.startswith("The answer holds `[Name]`")


@pytest.mark.parametrize(
    ("broken", "meant"),
    [("l’Ã©tÃ©", "l’été"), ("donâ€™t", "don’t"), ("naÃ¯ve", "naïve"), ("ÐŸÑ€Ð¸Ð²ÐµÑ‚", "Привет")],
)
def test_text_read_in_a_wrong_encoding_is_said_with_what_was_meant(broken, meant):
    remark = only(f"It says {broken} here.")
    assert remark.code == "mojibake"
    assert f"“{broken}” should be “{meant}”" in remark.why


@pytest.mark.parametrize(
    "answer",
    [
        "L’été dernier, à Noël, où l’œuvre « créée… » coûtait 5 €, ça s’est passé : voilà !",
        "NÃO, SÃO PAULO. Ångström, Ærø, señor, Straße, Ælfred’s",
        "Привет, как дела? 你好，世界。 日本語です。 שלום مرحبا",
        "Signs: xÇ¿ÔÏ",
        "naïve café – “quoted…” ½ ² ° ± × ÷ 100 µm, £5 §3",
    ],
)
def test_sound_text_in_any_language_is_left_alone(answer):
    assert codes(answer) == []


def test_a_lost_character_is_said():
    assert codes("caf\ufffd au lait") == ["lost-character"]


def test_marks_that_turn_the_direction_of_writing_are_shown_without_their_power():
    remark = only("user\u202egnp.exe")
    assert remark.code == "bidi-override"
    assert "\\u202e" in remark.why
    assert remark.why.isprintable()


def test_a_control_character_is_said_with_its_place():
    remark = only("so \frac{1}{2}")
    assert remark.code == "control-character"
    assert "The answer holds a control character, \\x0c, near “so \\x0crac{1}{2}”" in remark.why


@pytest.mark.parametrize(
    "marker",
    [
        "<|im_end|>",
        "<|eot_id|>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "</s>",
        "<start_of_turn>",
        "<｜Assistant｜>",
    ],
)
def test_marks_of_chat_templates_are_said(marker):
    remark = only(f"Well {marker} then")
    assert (remark.code, f"`{marker}`" in remark.why) == ("template-marker", True)


def test_headings_of_instruction_templates_are_marks_at_the_beginning_of_a_line():
    assert codes("Good.\n### Response: yes") == ["template-marker"]
    assert codes("Good. A ### Response: yes") == []
    assert codes("### Responses to the survey\n\nMany.") == []


def test_an_answer_that_goes_on_with_the_next_question_is_said():
    assert codes("It is blue.\nHuman: And why?") == ["run-on-answer"]
    assert codes("User: Hi!\nAssistant: Hello.\nUser: A flight, please.") == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I apologize, but I am unable to open links.", "refusal"),
        ("I cannot provide medical advice.", "refusal"),
        ("Je suis désolé, mais je ne peux pas répondre.", "refusal"),
        ("As an AI language model, I have no taste, but apples are good.", "boilerplate"),
        ("En tant que modèle de langage, je n’ai pas d’avis.", "boilerplate"),
    ],
)
def test_refusals_and_what_other_models_say_of_themselves_are_said(answer, code):
    assert codes(answer) == [code]


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, I was supposed to meet a friend here.",
        "I’m sorry, but I can’t come to work today.",
        "Fields such as AI, robotics and law. You cannot provide two values for one key.",
        "I am an AI assistant developed by Example Lab.",
        "She could not help him; he was sorry.",
    ],
)
def test_people_who_are_sorry_refuse_nothing(answer):
    assert codes(answer) == []


def test_an_assistant_that_is_asked_to_be_a_machine_may_speak_as_one():
    assert codes("As an AI, I watch the traffic.", "You are an AI that guides a city. What do you do?") == []


def test_html_in_an_answer_is_said_unless_somebody_spoke_of_it():
    assert codes("It is <b>bold</b> &nbsp; indeed.") == ["html"]
    assert codes("It is <b>bold</b>.", "Write HTML.") == []
    assert codes("1 < 2 and AT&T; a <- b; <<16-3=13>>13; R&D") == []


def test_an_answer_that_repeats_its_question_is_said():
    assert codes("Tell me a tale.", "Tell me a tale.") == ["answer-is-question"]
    turns = (Message("user", "A"), Message("assistant", "B"), Message("user", "C"), Message("assistant", "C"))
    assert [remark.code for remark in about(turns)] == ["answer-is-question"]


def test_half_a_character_is_an_error_wherever_it_stands():
    with pytest.raises(RowError) as caught:
        about((Message("user", "a"), Message("assistant", "b \ud83d")))
    assert caught.value.remark.code == "lone-surrogate"
    with pytest.raises(RowError):
        about((Message("user", "a"), Message("assistant", "", calls=(Call("f", '"\ud83d"'),))))


def test_calls_of_tools_are_searched_for_damage():
    remarks = about((Message("user", "a"), Message("assistant", "", calls=(Call("f", '"\0"'),))))
    assert [remark.code for remark in remarks] == ["control-character"]
    assert remarks[0].why.startswith("The call of a tool holds")


def test_a_long_text_is_searched_for_damage_to_its_end_and_takes_no_time():
    begun = time.perf_counter()
    for piece in ("word ", "[", "{{", "<", "a[name] ", "é’", "I cannot ", "` ", "\n### "):
        assert "long-row" in codes(piece * (3_000_000 // len(piece)))
    assert codes("a" * (LONG + 5) + "\0") == ["control-character", "long-row"]
    assert time.perf_counter() - begun < 10
