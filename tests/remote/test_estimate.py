"""What a machine of HF Jobs would take and cost is known, and agreed to, before anything is paid."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from core.errors import RunError, SpecError
from core.evaluate.tasks import read
from core.remote import flavors, record, shipping
from core.remote.estimate import cost, estimate, seconds_of, timeout_for
from core.remote.flavors import Flavor
from core.runs import jobs
from core.runs.events import Begun, Finished, Progress, Queued, Remote, Started, advance
from core.spec import ComputeSettings, RunSpec, merge
from core.train.plan import Lengths, plan, refusal, shape_of
from tests.conftest import quick
from tests.hub import Hub
from webui.render import runs as drawn
from webui.render import train as drawn_train

A10G = Flavor("a10g-small", "Nvidia A10G - small", 4, 15 * 10**9, 110 * 10**9, 1.0, 1, "A10G", 24 * 10**9)
LLAMA_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}
FILES = ["sample:fables-en", "--compute.where", "hf-jobs", "--compute.flavor"]


def atelier(hub: Hub, *arguments: str, runs: object = "runs") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "core", *arguments],
        env=os.environ | hub.environment(token=hub.writer) | {"ATELIER_RUNS": str(runs)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def test_a_timeout_leaves_room_and_is_never_the_hubs_half_hour_by_accident():
    assert timeout_for(100) == 30 * 60 and timeout_for(3600) == 2 * 3600
    assert (seconds_of("90m"), seconds_of("1.5h"), seconds_of("600"), seconds_of("1d")) == (
        5400,
        5400,
        600,
        86400,
    )
    found = estimate(3600, A10G, ComputeSettings())
    assert found.timeout_seconds > found.seconds > 3600 and found.usd_at_most > found.usd > 1
    given = estimate(3600, A10G, ComputeSettings(timeout="6h"))
    assert (given.timeout_seconds, given.usd_at_most) == (6 * 3600, 6.0)
    with pytest.raises(SpecError, match="takes about 5 min to set up"):
        estimate(3600, A10G, ComputeSettings(timeout="2m"))
    assert cost(61, 0.6) == pytest.approx(0.02)  # a minute that has begun is paid


def test_a_machine_whose_memory_cannot_hold_the_run_is_refused():
    lengths = Lengths.of([512] * 64, [512] * 8)
    shape = shape_of(LLAMA_8B)
    full = RunSpec.from_dict({"method": {"kind": "full"}})
    assert "and 22.8 GB are there" in str(refusal(plan(full, shape, lengths, A10G.facts()), full))
    small = RunSpec.from_dict({"method": {"kind": "qlora"}})
    assert refusal(plan(small, shape, lengths, A10G.facts()), small) is None


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"compute": {"flavor": None}}, "`atelier remote flavors` lists them"),
        ({"compute": {"machines": 2, "processes": 2}}, "machines of your own"),
        ({"model": {"base": "/tmp"}}, "which lies on this machine only"),
        ({"train": {"report_to": ["wandb"]}}, "needs a key that is not sent"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_a_run_is_made(settings, said):
    compute = {"where": "hf-jobs", "flavor": "a10g-small"}
    with pytest.raises(SpecError, match=said):
        shipping.check(RunSpec.from_dict(merge({"compute": compute}, settings)))


def test_what_is_sent_is_the_settings_the_files_they_name_and_the_code_and_none_of_it_secret(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    (tmp_path / "set").mkdir()
    for name in ("a.jsonl", "set/b.jsonl"):
        (tmp_path / name).write_text('{"prompt": "?", "completion": "!"}\n')
    files = [str(tmp_path / "a.jsonl"), str(tmp_path / "set"), "sample:fables-en", "owner/name"]
    values = {"data": {"files": files}, "method": {"kind": "qlora"}, "model": {"base": "owner/model"}}
    compute = {"where": "hf-jobs", "flavor": "a10g-small", "timeout": "6h", "namespace": "guild"}
    sent = {
        each.path: each.source for each in shipping.shipment(RunSpec.from_dict(values | {"compute": compute}))
    }
    spec = RunSpec.from_dict(yaml.safe_load(sent["spec.yaml"]))
    assert spec.data.files == ("data/0/a.jsonl", "data/1/set", "sample:fables-en", "owner/name")
    assert {"data/0/a.jsonl", "data/1/set/b.jsonl", "code/core/cli.py", "code/presets/tiny.yaml"} <= set(sent)
    assert (spec.compute.where, spec.compute.flavor) == ("here", None)
    packages = sent["code/requirements.txt"].decode().splitlines()
    assert any(each.startswith("torch==") for each in packages) and "bitsandbytes==0.50.2" in packages
    assert not [
        path for path in sent if "fable/" in path or "__pycache__" in path or path.startswith("code/tests")
    ]
    held = [each if isinstance(each, bytes) else each.read_bytes() for each in sent.values()]
    assert not [content for content in held if b"hf_planted" in content]
    assert "hf_planted" not in str(shipping.command("ada/x", 1, "abc"))


TASK = "label: T\nabout: a\nkind: generation\nexamples: {file: asked.jsonl}\n"
TASK += "shots: {count: 1, examples: {file: solved.jsonl}}\n"


def to_be_scored(*tasks: object, **more: object) -> RunSpec:
    compute = {"where": "hf-jobs", "flavor": "a10g-small"}
    evaluate = {"tasks": [str(each) for each in tasks]} | more
    return RunSpec.from_dict({"compute": compute, "evaluate": evaluate})


@pytest.fixture
def task(tmp_path):
    for name in ("asked.jsonl", "solved.jsonl"):
        (tmp_path / name).write_text('{"question": "?", "answer": "!"}\n')
    (tmp_path / "mine.yaml").write_text(TASK)
    return tmp_path / "mine.yaml"


def test_a_task_is_sent_with_the_rows_and_the_solved_examples_that_it_reads(task, tmp_path):
    spec = to_be_scored("held-out", task)
    shipping.check(spec)
    sent = {each.path: each for each in shipping.shipment(spec)}
    there = tmp_path / "there"
    for path, each in sent.items():
        if not path.startswith("code/"):
            (there / path).parent.mkdir(parents=True, exist_ok=True)
            (there / path).write_bytes(
                each.source if isinstance(each.source, bytes) else each.source.read_bytes()
            )
    names = RunSpec.load(there / "spec.yaml").evaluate.tasks
    assert names == ("held-out", "data/0/mine.yaml")
    found = read(there / names[1])
    assert (found.folder / found.examples.file).is_file()
    assert (found.folder / found.shots.examples.file).is_file()


def test_a_task_that_could_not_be_scored_there_is_refused_before_a_run_is_made(task, tmp_path):
    with pytest.raises(
        SpecError, match=r"lm-eval:hellaswag needs lm-eval, which the machines .* do not have"
    ):
        shipping.check(to_be_scored("lm-eval:hellaswag"))
    shipping.check(to_be_scored("lm-eval:hellaswag", after_training=False))
    (tmp_path / "solved.jsonl").unlink()
    with pytest.raises(SpecError, match=r"reads solved\.jsonl, and there is no such file beside it"):
        shipping.check(to_be_scored(task))
    with pytest.raises(SpecError, match="There is no task 'helt-out'"):
        shipping.check(to_be_scored("helt-out"))


def test_the_machines_are_listed_with_their_prices_and_a_wrong_name_says_which_there_are(hub):
    listed = json.loads(atelier(hub, "remote", "flavors", "--json").stdout)["flavors"]
    found = {each["flavor"]: each for each in listed}
    assert (
        found["a10g-largex4"] | {"gpus": 4, "gpu_memory": 24 * 10**9, "usd_per_hour": 5.0}
        == found["a10g-largex4"]
    )
    assert found["cpu-basic"]["gpus"] == 0 and found["cpu-basic"]["memory"] == 16 * 10**9
    with pytest.raises(SpecError, match="there are a10g-small"):
        flavors.chosen("a10g-smal", [A10G])


def test_a_plan_says_what_it_costs_and_nobody_pays_without_having_been_asked(hub, tmp_path):
    runs = tmp_path / "runs"
    planned = json.loads(atelier(hub, "plan", *FILES, "t4-small", "--json", runs=runs).stdout)["remote"]
    assert planned["usd_per_hour"] == 0.4 and planned["usd_at_most"] >= planned["usd"] > 0
    refused = atelier(hub, "train", *FILES, "t4-small", runs=runs)
    assert refused.returncode == 2 and "On t4-small (Nvidia T4 - small, $0.40 an hour)" in refused.stderr
    assert "say so with --yes" in refused.stderr
    assert not hub.jobs and not runs.exists()


def test_a_run_whose_job_may_still_be_at_work_is_not_deleted(store, there):
    run = store.create("far", there())
    record.new(run, "ada").next().keep(run)
    with pytest.raises(RunError, match="atelier remote cancel far"):
        jobs.delete(run)


def told(stage: str = "RUNNING", **more: float) -> Remote:
    known = {"job": "ada/1", "url": "https://hub/jobs/ada/1", "flavor": "a10g-small", "usd_per_hour": 1.0}
    return Remote(stage=stage, **known, **more)


def test_the_page_shows_the_machine_its_stage_and_the_cost_and_offers_no_pause(store, there):
    run = store.create("far", there())
    begun = (Queued(act="train"), Started(act="train", pid=1), Begun(total_steps=10))
    progress = advance(Progress(), [*begun, told(seconds=1800.0, usd_before=0.25)])
    assert "running, 30 minutes, $0.75 so far at $1.00 an hour" in drawn.status_block(run, progress)
    assert drawn.can_stop(run, progress) and not drawn.can_pause(run, progress)
    assert drawn.machine(advance(Progress(), begun)) == ""
    hostile = advance(Progress(), [told(), Remote(job="x", url="javascript:1", flavor="<b>", stage="<i>")])
    assert "<b>" not in drawn.machine(hostile) and "href" not in drawn.machine(hostile)
    assert advance(progress, [Finished(act="train")]).remote.usd == 0.75


def test_resuming_asks_only_where_another_machine_is_paid_for(store, there):
    run = store.create("far", there())
    asked = drawn.another_machine(run)  # never sent: made with --no-begin, say
    assert "a machine (cpu-upgrade), which is paid for" in asked and record.asks_for_a_machine(run)
    sent = record.new(run, "ada").next(flavor="a10g-small", usd_per_hour=1.0, timeout_seconds=7200).keep(run)
    assert drawn.another_machine(run) == "" and not record.asks_for_a_machine(run)  # its job is joined
    record.Record(**{**vars(sent), "settled": True}).keep(run)
    assert "another a10g-small" in drawn.another_machine(run) and "$2.00" in drawn.another_machine(run)
    here = store.create("here", quick())
    assert not record.asks_for_a_machine(here) and drawn.another_machine(here) == ""


def test_the_train_page_lists_machines_and_asks_before_it_costs():
    assert drawn_train.machine(A10G.as_dict()) == "a10g-small: 1 x A10G, 24 GB each, $1.00 an hour"
    assert "<code>a10g-small</code>" in drawn_train.machines([A10G.as_dict()])
    assert "Press again to agree" in drawn_train.cost(estimate(3600, A10G, ComputeSettings()).as_dict())
