import json
import math
from importlib.util import find_spec

import pytest
import torch

from core.errors import DataError, SpecError
from core.evaluate import request
from core.evaluate.job import evaluate
from core.evaluate.report import read
from core.train.model import open_pair
from tests.evaluate.making import tuned_run

ROWS = [
    {"q": f"The king had {n} sons, and the youngest was", "a": ["called Jack", "green cheese"]}
    for n in range(7)
]
CHOICE = """
task: tales_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{q}}}}"
doc_to_choice: "{{{{a}}}}"
doc_to_target: 0
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
metadata: {{version: 3}}
"""
WRITTEN = """
task: tales_written
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{q}}}}"
doc_to_target: "{{{{a[0]}}}}"
generation_kwargs: {{until: ["\\n\\n"], max_gen_toks: 6, do_sample: false}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1}}
"""


def test_without_lm_eval_one_sentence_says_how_to_have_it(monkeypatch):
    monkeypatch.setattr(request, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r"lm-eval:hellaswag needs lm-eval: .*pip install lm_eval==0\.4\.13"):
        request.check_harness("lm-eval:hellaswag")


@pytest.mark.parametrize(
    "name", ["lm-eval:/any/x.yaml", "lm-eval:x.yml", "lm-eval:/any/x.yaml/", "lm-eval:/../x.yaml"]
)
def test_a_file_of_lm_eval_which_can_run_code_is_refused_on_a_space(monkeypatch, name):
    monkeypatch.setattr(request, "find_spec", lambda name: True)
    request.check_harness(name)
    monkeypatch.setenv("SPACE_ID", "owner/space")
    request.check_harness("lm-eval:hellaswag")
    with pytest.raises(SpecError, match="can run any code: on a Space name one of lm-eval's own tasks"):
        request.check_harness(name)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    if find_spec("lm_eval") is None:
        pytest.skip("requirements-extras.txt is not installed")
    folder = tmp_path_factory.mktemp("harness")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, text in (("choice", CHOICE), ("written", WRITTEN)):
        (folder / f"{name}.yaml").write_text(text.format(file=folder / "rows.jsonl"))
    return tuned_run(folder)


@pytest.mark.extras
def test_a_local_task_of_lm_eval_is_scored_by_our_models_without_any_network(run):
    name = f"lm-eval:{run.folder.parent.parent / 'choice.yaml'}"
    evaluate(run, tasks=[name])
    task = read(run).task(name)
    assert (task.n, task.kind, task.given) == (7, "choice", name)
    (score,) = task.scores
    assert score.name == "acc" and "tales_choice version 3" in score.definition
    pair = open_pair(run)
    tokenizer = pair.text.tokenizer
    for side in ("base", "tuned"):
        wanted = []
        for row in ROWS:
            likely = []
            for said in row["a"]:
                asked = len(tokenizer(row["q"]).input_ids)
                ids = tokenizer(f"{row['q']} {said}").input_ids
                with pair.side(side) as model, torch.no_grad():
                    logs = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
                likely.append(math.fsum(float(logs[at - 1, ids[at]]) for at in range(asked, len(ids))))
            wanted.append(float(likely[0] > likely[1]))
        assert [getattr(row.marks["acc"], side) for row in task.rows] == wanted
        assert getattr(score, side).value == pytest.approx(sum(wanted) / 7)


@pytest.mark.extras
def test_what_a_task_of_lm_eval_has_written_is_asked_with_our_template_and_kept(run):
    name = f"lm-eval:{run.folder.parent.parent / 'written.yaml'}"
    evaluate(run, tasks=[name], max_samples=3)
    task = read(run).task(name)
    assert (task.n, task.kind, [each.name for each in task.scores]) == (3, "generation", ["exact_match"])
    assert task.rows[0].reference == "called Jack" and task.rows[0].base.text != task.rows[0].tuned.text
    assert "<|im_start|>assistant" in task.rows[0].question and ROWS[0]["q"] in task.rows[0].question


@pytest.mark.extras
@pytest.mark.slow  # lm-eval looks through all of its tasks
def test_a_task_that_lm_eval_does_not_have_is_one_sentence(run, tmp_path):
    with pytest.raises(DataError, match="lm-eval cannot load lm-eval:no_such_task_at_all: "):
        evaluate(run, tasks=["lm-eval:no_such_task_at_all"])
    with pytest.raises(DataError, match="There is no file .*nothing.yaml"):
        evaluate(run, tasks=["lm-eval:nothing.yaml"])
    (tmp_path / "other.yaml").write_text("label: mine")
    with pytest.raises(DataError, match="names no `task`"):
        evaluate(run, tasks=[f"lm-eval:{tmp_path / 'other.yaml'}"])
