"""Scores on benchmarks that the Hub knows, as the files from which it fills leaderboards. Needs no torch.

.eval_results/gsm8k.yaml        a list of {dataset: {id, task_id}, value, date, notes}

The Hub takes only data sets that are registered as benchmarks there; a run's own scores stand in the card's model-index.
"""

from datetime import UTC, datetime

from core.evaluate.report import TaskReport, main, read
from core.runs.store import Run

# Task here -> data set on the Hub, the task's id in its eval.yaml, and its rows: of other rows, a score is another.
BENCHMARKS = {"gsm8k": ("openai/gsm8k", "gsm8k", 1319), "math": ("HuggingFaceH4/MATH-500", "math_500", 500)}


def results(run: Run) -> dict[str, bytes]:
    """Path in the repository -> content, for every known benchmark that the tuned model was scored on as a whole, from
    the Hub's own copy."""
    report = read(run)
    if not report:
        return {}
    day = datetime.fromtimestamp(report.made_at, UTC).date().isoformat()
    return {
        f".eval_results/{task.name}.yaml": _entry(task, day)
        for task in report.tasks
        if task.name in BENCHMARKS
        and not task.given
        and task.n == task.available == BENCHMARKS[task.name][2]
        and (score := main(task))
        and score.tuned
    }


def _entry(task: TaskReport, day: str) -> bytes:
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    id, task_id, _ = BENCHMARKS[task.name]
    score, how = main(task), task.settings
    entry = EvalResultEntry(
        dataset_id=id,
        task_id=task_id,
        value=round(score.tuned.value, 4),
        date=day,
        notes=f"{score.label}, {how.shots}-shot, {how.decoding}, {how.max_new_tokens} new tokens at most; by "
        "whoever published this",
    )
    return yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False).encode()
