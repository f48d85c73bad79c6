"""The whole road as a newcomer walks it, on the sample data, with the tiny preset as it is shipped."""

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.evaluate.report import main, read
from core.runs import RunStore
from tests.warm import atelier


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_newcomer_sees_a_model_learn_to_answer(tmp_path):
    done = atelier("demo", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 0, done.stdout + done.stderr
    run = RunStore(tmp_path / "runs").get("demo-1")

    points = run.progress().held_out
    assert points[-1].loss < points[0].loss / 5

    report = read(run)
    scores = {score.name: score for score in report.task("held-out-answers").scores}
    assert scores["exact_match"].base.value < 0.1 and scores["exact_match"].tuned.value >= 0.7
    assert all(main(report.task(name)).verdict == "helped" for name in ("held-out", "held-out-answers"))
    assert "Training helped" in done.stdout
    assert [each.tuned.ended for each in report.prompts] == ["turn"] * 3
    assert [each.base.ended for each in report.prompts] == ["length"] * 3
    for asked in report.prompts:
        assert asked.question in done.stdout

    merged = run.folder / "merged"
    tokenizer = AutoTokenizer.from_pretrained(merged)
    question = [{"role": "user", "content": report.prompts[0].question}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt")
    answer = AutoModelForCausalLM.from_pretrained(merged).generate(**ids, max_new_tokens=48, do_sample=False)
    assert "wolves" in tokenizer.decode(answer[0][ids["input_ids"].shape[1] :])
    assert (merged / "README.md").is_file()
