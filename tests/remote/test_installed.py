"""A task of lm-eval is refused before the training, where lm-eval is not installed to score it afterwards."""

import pytest

from core.errors import SpecError
from core.spec import RunSpec
from core.train import installed


def test_a_task_of_lm_eval_without_lm_eval_is_refused_before_the_training(monkeypatch):
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    tasks = {"tasks": ["held-out", "lm-eval:hellaswag"]}
    with pytest.raises(SpecError, match=r"evaluate\.tasks: lm-eval:hellaswag needs lm-eval.*pip install"):
        installed.check_installed(RunSpec.from_dict({"evaluate": tasks}))
    installed.check_installed(RunSpec.from_dict({"evaluate": tasks | {"after_training": False}}))
    monkeypatch.setattr(installed, "find_spec", lambda name: name)
    installed.check_installed(RunSpec.from_dict({"evaluate": tasks}))
