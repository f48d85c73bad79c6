"""The Jobs API of huggingface_hub: no call waits for ever, a hiccup is tried again, a refusal is a sentence.

A job costs money from the moment it exists. The one call that makes it is therefore never repeated unless the Hub said
that it made none; where its answer got lost, the job is looked for by its label.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from core.errors import PublishError
from core.publish.hub import LONGEST_PAUSE, PAUSES, asked_pause, limit_waiting, may_pass, one_line
from core.remote.flavors import Flavor, flavor_of
from core.remote.record import LABEL, Record

if TYPE_CHECKING:  # importing the client costs 0.4 s
    from huggingface_hub import JobInfo

LIVING = ("SCHEDULING", "RUNNING")
LOOKS = (1.0, 2.0, 4.0, 8.0)  # seconds before each look for a job whose making was not answered

T = TypeVar("T")


class Jobs:
    """The jobs that one token may see, start and cancel. PublishError, one sentence, whatever fails."""

    def __init__(self, token: str | None = None) -> None:
        from huggingface_hub import HfApi, get_token

        limit_waiting()
        self.token = (token or get_token() or "").strip()
        if not re.fullmatch(r"[!-~]+", self.token):
            raise PublishError(
                "HF Jobs needs a token, and there is none that could be one: log in with `hf auth login`, or set HF_TOKEN."
            )
        self.api = HfApi(token=self.token, library_name="atelier")

    def owner(self) -> str:
        return self.ask("asking whose the token is", self.api.whoami)["name"]

    def flavors(self) -> list[Flavor]:
        found = self.ask("asking for the machines", lambda: self.api.list_jobs_hardware(token=self.token))
        return [flavor_of(each) for each in found]

    def create(self, record: Record, image: str, command: list[str]) -> "JobInfo":
        """The job of this attempt: made now, or found if the Hub made it and its answer got lost."""
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError

        def make() -> "JobInfo":
            return self.api.run_job(
                image=image,
                command=command,
                secrets={"HF_TOKEN": self.token},  # never env, which everybody who sees the job can read
                flavor=record.flavor,
                timeout=record.timeout_seconds,
                labels={**record.labels, "name": record.repo.partition("/")[2][:100].replace(".", "-")},
                namespace=record.namespace,
                token=self.token,
            )

        pauses = iter(PAUSES)
        while True:
            try:
                return make()
            except (httpx2.HTTPError, OSError, ValueError) as error:
                status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
                pause = next(pauses, None)
                if status == 429 and pause is not None and asked_pause(error) <= LONGEST_PAUSE:
                    time.sleep(max(pause, asked_pause(error)))  # refused before anything was made
                    continue
                if 400 <= status < 500 or isinstance(error, httpx2.ConnectError):
                    raise PublishError(self.explain(error, "asking for a machine")) from None
                lost = error
            for wait in LOOKS:
                time.sleep(wait)
                if found := self.find(record):
                    return found
            raise PublishError(
                f"{self.explain(lost, 'asking for a machine')} No job of this run is to be seen there; the same command looks "
                "again before it asks again."
            ) from None

    def find(self, record: Record) -> "JobInfo | None":
        """The job of this attempt, by its label; None if there is none. Of several, which a Hub in trouble may have made of
        one call, the first; the others are canceled."""

        def listed() -> "list[JobInfo]":
            found = self.api.list_jobs(labels=record.labels, namespace=record.namespace, token=self.token)
            wanted = record.labels[LABEL]
            return [job for job in found if (job.labels or {}).get(LABEL) == wanted]

        found = sorted(
            self.ask("looking for the job", listed), key=lambda job: (str(job.created_at or ""), job.id)
        )
        for job in found[1:]:
            if job.status.stage in LIVING:
                self.cancel(record.namespace, job.id)
        return found[0] if found else None

    def inspect(self, namespace: str, job: str) -> "JobInfo":
        return self.ask(
            "asking how the job is",
            lambda: self.api.inspect_job(job_id=job, namespace=namespace, token=self.token),
        )

    def cancel(self, namespace: str, job: str) -> None:
        self.ask(
            "canceling the job",
            lambda: self.api.cancel_job(job_id=job, namespace=namespace, token=self.token),
        )

    def log(self, namespace: str, job: str, *, follow: bool = True) -> Iterator[str]:
        """The lines of the job's log from its beginning; as they come, until the job has ended, or those that are there.
        Errors as they are. Where the connection breaks as the job ends, the end may be missing without a word."""
        known = {"job_id": job, "namespace": namespace, "token": self.token}
        return iter(self.api.fetch_job_logs(follow=follow, **known))

    def ask(self, doing: str, call: Callable[[], T]) -> T:
        """What `call` returns, at the latest on the fourth try; for calls that may be repeated."""
        import httpx2

        pauses = iter(PAUSES)
        while True:
            try:
                return call()
            except (httpx2.HTTPError, OSError, ValueError, RuntimeError) as error:
                pause = next(pauses, None)
                if pause is None or not may_pass(error):
                    # The cause quotes request headers: it stays out of the traceback.
                    raise PublishError(self.explain(error, doing)) from None
                pause = max(pause, asked_pause(error))
            time.sleep(pause)

    def explain(self, error: Exception, doing: str) -> str:
        what = _what_and_advice(error, self.api.endpoint)
        return f"HF Jobs failed while {doing}: {what}.".replace(self.token, "(the token)")


def seconds_billed(job: "JobInfo") -> float:
    """How long the machine has run for this job, as far as the Hub says."""
    return float(job.durations.running_secs or 0) if job.durations else 0.0


def _what_and_advice(error: Exception, endpoint: str) -> str:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    match error:
        case HfHubHTTPError(response=response):
            return _refusal(response.status_code, one_line(error.server_message or ""), endpoint)
        case OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE forbids every request; unset it"
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.ProxyError():
            return f"{endpoint} cannot be reached; check the network and HF_ENDPOINT"
        case httpx2.TimeoutException():
            return "the Hub was silent for too long"
        case httpx2.HTTPError():
            return "the connection broke off"
        case _:
            return one_line(str(error))


def _refusal(status: int, said: str, endpoint: str) -> str:
    words = f"{status}: {said}" if said else str(status)
    match status:
        case 401:
            return f"the Hub does not accept the token ({status}), it is wrong, revoked or expired; log in with `hf auth login`"
        case 402:
            return f"there is no credit left to pay the machine with ({words}); add some at {endpoint}/settings/billing"
        case 403:
            return f"the token may not start jobs ({words}); give it the right `jobs` at {endpoint}/settings/tokens"
        case 404:
            return f"the Hub knows no such job ({status}); was it deleted?"
        case 429:
            return f"the Hub had too many requests from you ({status}); wait some minutes, then try again"
        case _ if status >= 500:
            return f"the Hub has trouble of its own ({words})"
        case _:
            return f"the Hub refused ({words})"
