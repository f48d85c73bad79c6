"""What the Hub answers when a machine is asked for, and that no answer, lost or late, makes anybody pay twice."""

import json
import os
import subprocess
import sys
from textwrap import dedent
from typing import Any

import pytest

from tests.hub import Hub

PREPARE = """
import json
from core.errors import UserError
from core.remote import client
from core.remote.record import Record
client.LOOKS = (0.1, 0.2)
client.PAUSES = (0.1, 0.1, 0.1)
jobs = client.Jobs()
record = Record("1f2e", "ada", "ada/atelier-run-poems-1f2e", flavor="cpu-basic", timeout_seconds=60, attempt=1)
def ask(call):
    try:
        return {"job": call().id}
    except UserError as error:
        return {"said": str(error)}
create = lambda: jobs.create(record, "an-image", ["true"])
"""


def asked(hub: Hub, script: str = "answer = ask(create)", token: str | None = None) -> Any:
    """What the script leaves in `answer`, in a process of its own."""
    child = subprocess.run(
        [sys.executable, "-c", PREPARE + dedent(script) + "\nprint(json.dumps(answer))"],
        env=os.environ | hub.environment(token=token or hub.writer),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout.splitlines()[-1])


def test_a_job_whose_making_was_not_answered_is_found_by_its_label_and_no_second_one_is_made(hub):
    hub.fault("POST", "/api/jobs/ada$", "drop-after")
    answer = asked(hub, "answer = [ask(create), ask(lambda: jobs.find(record))]")
    assert answer == [{"job": job} for job in hub.jobs] * 2
    assert hub.requests("POST", "/api/jobs/ada$") == 1


def test_where_the_question_itself_was_lost_nothing_is_asked_again_before_somebody_says_so(hub):
    hub.fault("POST", "/api/jobs/ada$", "drop-mid-body")
    assert "No job of this run is to be seen there" in asked(hub)["said"]
    assert hub.requests("POST", "/api/jobs/ada$") == 1 and not hub.jobs


def test_a_refusal_after_which_nothing_was_made_is_tried_again(hub):
    hub.fault("POST", "/api/jobs/ada$", 429, retry_after=0)
    assert list(asked(hub)) == ["job"] and len(hub.jobs) == 1
    assert hub.requests("POST", "/api/jobs/ada$") == 2


def test_trouble_of_the_hub_in_which_a_job_may_have_been_made_asks_for_no_other(hub):
    hub.fault("POST", "/api/jobs/ada$", 500)
    said = asked(hub)["said"]
    assert "trouble of its own (500" in said and "looks again before it asks again" in said
    assert hub.requests("POST", "/api/jobs/ada$") == 1 and not hub.jobs


def test_of_two_jobs_with_one_label_the_first_is_taken_and_the_other_canceled(hub):
    hub.job_command = ["sleep", "60"]
    answer = asked(hub, "answer = [create().id, create().id, jobs.find(record).id]")
    first, second, found = answer
    assert found == first and hub.jobs[second].stage == "CANCELED" and hub.jobs[first].stage != "CANCELED"


@pytest.mark.parametrize(
    "trouble, said",
    [
        (401, "does not accept the token (401)"),
        (402, "no credit left to pay the machine with (402"),
        (403, "give it the right `jobs`"),
        (400, "the Hub refused (400: This was asked for by a test)"),
    ],
)
def test_a_refusal_is_one_sentence_that_says_what_to_do_and_never_the_token(hub, trouble, said):
    hub.fault("POST", "/api/jobs/ada$", trouble)
    sentence = asked(hub)["said"]
    assert said in sentence and hub.writer not in sentence and "\n" not in sentence
    assert hub.requests("POST", "/api/jobs/ada$") == 1


def test_questions_are_asked_again_but_not_for_ever(hub):
    hub.fault("GET", "/api/jobs/hardware", 500, times=3)
    answer = asked(hub, "answer = [each.name for each in jobs.flavors()]")
    assert "a10g-small" in answer
    hub.fault("GET", "/api/jobs/hardware", 503, times=9)
    assert "trouble of its own (503" in asked(hub, "answer = ask(jobs.flavors)")["said"]


def test_the_token_is_a_secret_of_the_job_and_nowhere_in_what_the_hub_shows_of_it(hub):
    asked(hub, "answer = ask(create)")
    (job,) = hub.jobs.values()
    assert job.spec["secrets"] == {"HF_TOKEN": hub.writer} and job.spec["environment"] == {}
    assert hub.writer not in json.dumps(job.described(hub))
    assert job.spec["labels"] == {"atelier-attempt": "1f2e-1", "name": "atelier-run-poems-1f2e"}
    assert job.spec["timeoutSeconds"] == 60
