"""The act `train` of a run whose machine is HF Jobs': this process sends it there, tells what happens, and brings it home.

It may be ended at any moment: the job goes on, and the next process of the same run joins it.
"""

import dataclasses
import queue
import threading
import time

from core.errors import PublishError, TrainError
from core.publish.hub import Upload, push
from core.remote import record as records
from core.remote import shipping
from core.remote.client import LIVING, Jobs, seconds_billed
from core.remote.estimate import cost
from core.remote.pulling import pull
from core.remote.record import Record
from core.remote.words import Listener
from core.runs.events import (
    Begun,
    Event,
    Failed,
    Finished,
    HeldOut,
    Noted,
    Remote,
    Sampled,
    Saved,
    Staged,
    Stepped,
    Stopped,
    Trained,
)
from core.runs.store import Run
from core.train.plan import spoken

ASK = 5.0  # seconds between two questions how the job is
TELL = 15.0  # seconds between two words on time and cost while nothing else changes
LOOK = 0.3  # seconds between two looks at the log and at what is asked of the run
FAREWELL = 30.0  # seconds in which the log of a job that has ended comes to its end
PATIENCE = 600.0  # seconds without an answer of the Hub, after which nobody waits any longer here
TOLD = (
    Staged,
    Noted,
    Begun,
    Stepped,
    HeldOut,
    Sampled,
    Saved,
)  # what the machine says of a training, said here too
LAST_LINES = 12
UNSEEN = 600.0  # seconds after which a job that was asked for and is not to be seen was never made
ONCE_MORE = 5.0  # seconds until a request that could not be passed on is passed on again


def train(run: Run) -> str | None:
    """The run trained on HF Jobs: "final" when it is here, None if it was stopped. TrainError or PublishError if not."""
    if run.final.is_dir():  # ended between bringing it home and the word of it
        if not run.progress().trained:
            run.events.append(Trained())
        return "final"
    client = Jobs()
    record = _joined(client, run) or _submitted(client, run)
    return _Following(client, run, record).to_its_end() if record else None


def abandon(run: Run) -> None:
    """Cancel the job of a run whose process had to be ended by force; if that cannot be, say that it may go on."""
    try:
        cancel(run)
    except PublishError as error:
        text = f"The job may go on and be paid for: cancel it at the Hub ({_where(run)}). {error}"
        run.events.append(Noted(text=text, warning=True))


def cancel(run: Run) -> Record | None:
    """Cancel the latest job of a run that nobody here follows; None if there is none, or it is over and fetched.

    PublishError if a job was asked for so recently that it may still appear.
    """
    record = records.read(run)
    if record is None or record.settled:
        return None
    client = Jobs()
    job = client.inspect(record.namespace, record.job) if record.job else client.find(record)
    if job is None and records.age(run) < UNSEEN:
        raise PublishError(
            f"A job of the run {run.name!r} was asked for a moment ago and is not to be seen at HF Jobs yet: cancel it again in "
            "some minutes."
        )
    if job and job.status.stage in LIVING:
        client.cancel(record.namespace, job.id)
    spent = record.usd_before + (cost(seconds_billed(job), record.usd_per_hour) if job else 0.0)
    known = {"job": job.id, "url": job.url} if job else {}
    return dataclasses.replace(record, settled=True, usd_before=round(spent, 4), **known).keep(run)


def _where(run: Run) -> str:
    record = records.read(run)
    return (record.url or f"jobs of {record.namespace}") if record else "jobs"


def _joined(client: Jobs, run: Run) -> Record | None:
    """The attempt that is under way, or ended without its results' being fetched; None if there is none."""
    record = records.read(run)
    if record is None or record.settled:
        return None
    if not record.job:
        run.events.append(Staged(stage="Looking for the job that was asked for"))
        found = client.find(record)
        if found is None:
            return None
        record = dataclasses.replace(record, job=found.id, url=found.url).keep(run)
    run.events.append(Noted(text=f"Joined the job {record.url} again."))
    return record


def _submitted(client: Jobs, run: Run) -> Record | None:
    """A new attempt: planned, sent, and asked for once. None if the run was stopped before anything was paid."""
    spec = run.spec
    planned = _planned(client, run)
    old = records.read(run) or records.new(run, spec.compute.namespace or client.owner())
    shipment = shipping.shipment(spec)
    run.events.append(
        Staged(stage=f"Sending {sum(each.size for each in shipment) / 1e6:.0f} MB to {old.repo}")
    )
    pushed = push(
        old.repo, shipment, token=client.token, private=True, message=f"Settings, data and code of {run.name}"
    )
    if run.stop_requested():
        return None
    # An attempt that no job was found for is asked for again under its own label.
    asked_before = old.attempt and not old.settled
    known = {
        "flavor": planned["flavor"],
        "usd_per_hour": planned["usd_per_hour"],
        "timeout_seconds": planned["timeout_seconds"],
    }
    record = (dataclasses.replace(old, **known) if asked_before else old.next(**known)).keep(run)
    run.events.append(Staged(stage=f"Asking HF Jobs for {record.flavor}"))
    command = shipping.command(record.repo, record.attempt, pushed.commit)
    job = client.create(record, shipping.IMAGE, command)
    return dataclasses.replace(record, job=job.id, url=job.url).keep(run)


def _planned(client: Jobs, run: Run) -> dict:
    """What it will take there; TrainError if that machine cannot do it."""
    from core.forecast import forecast
    from core.remote.estimate import as_text

    run.events.append(Staged(stage="Planning"))
    seen = forecast(run.spec, run.folder, client.flavors())
    if seen["refusal"]:
        raise TrainError(seen["refusal"])
    run.events.append(Noted(text=as_text(seen["remote"])))
    return seen["remote"]


class _Following:
    """One job, followed to its end."""

    def __init__(self, client: Jobs, run: Run, record: Record) -> None:
        self.client = client
        self.run = run
        self.record = record
        self.known = set(run.events.read()[0])  # a log is told from its beginning to whoever joins
        self.outcome: Event | None = None  # in the machine's own words
        self.stage = ""
        self.seconds = 0.0
        self.message = ""
        self.last_lines: list[str] = []
        self.told_at = self.asked_at = self.answered_at = 0.0
        self.stopping = self.canceled = False
        self.passed_on_at = -ONCE_MORE  # when a request could not be passed on
        self.log = _Log(client, record)

    def to_its_end(self) -> str | None:
        self.answered_at = time.monotonic()
        self.log.start()
        try:
            while not self._has_ended():
                self._listen()
                self._see_what_is_asked()
                time.sleep(LOOK)
            self._listen()
        finally:
            self.log.over.set()
        return self._settle()

    def _has_ended(self) -> bool:
        """Asks from time to time, and says where the job stands when that changed or a while has passed."""
        now = time.monotonic()
        if now - self.asked_at > ASK or (self.outcome and self.stage in LIVING and now - self.asked_at > 1):
            self.asked_at = now
            try:
                job = self.client.inspect(self.record.namespace, self.record.job)
                self.answered_at = now
            except PublishError as error:
                if "(404)" in str(error):
                    self._close()  # there is nothing left to join
                if now - self.answered_at > PATIENCE or "(401)" in str(error) or "(404)" in str(error):
                    raise TrainError(
                        f"{error} The job goes on by itself, if it was not ended: `atelier resume {self.run.name}` joins it."
                    ) from None
                return False
            changed = job.status.stage != self.stage
            self.stage, self.seconds = str(job.status.stage), seconds_billed(job)
            self.message = job.status.message or ""
            if changed or now - self.told_at > TELL:
                self.told_at = now
                self._say_where_it_stands()
        if not self.stage or self.stage in LIVING:
            return False
        self.log.ended.wait(timeout=FAREWELL)
        return True

    def _say_where_it_stands(self) -> None:
        record = self.record
        self.run.events.append(
            Remote(
                job=f"{record.namespace}/{record.job}",
                url=record.url,
                flavor=record.flavor,
                stage=self.stage,
                usd_per_hour=record.usd_per_hour,
                seconds=self.seconds,
                usd_before=record.usd_before,
            )
        )

    def _listen(self) -> None:
        for heard in self.log.heard():
            if isinstance(heard, str):
                print(heard, flush=True)
                self.last_lines = [*self.last_lines, heard][-LAST_LINES:]
            elif isinstance(heard, Finished | Stopped | Failed):
                self.outcome = heard
            elif isinstance(heard, TOLD) and heard not in self.known:
                self.known.add(heard)
                self.run.events.append(heard)

    def _see_what_is_asked(self) -> None:
        """Stop and save: the machine is asked, if there is anything to save. Discard, or at once: the job is canceled."""
        asked = self.run.requests()
        if "stop" not in asked or self.canceled:
            return
        begun = any(isinstance(event, Stepped) for event in self.known)
        if time.monotonic() < self.passed_on_at + ONCE_MORE or (
            self.stopping and not {"discard", "now"} & asked
        ):
            return
        try:
            if {"discard", "now"} & asked or not begun:
                self.client.cancel(self.record.namespace, self.record.job)
                self.canceled = True
                self.asked_at = 0.0
            else:
                request = [Upload(f"{self.record.request}stop", b"stop\n")]
                push(
                    self.record.repo, request, token=self.client.token, private=True, message="Stop, and save"
                )
                self.stopping = True
        except PublishError as error:
            self.passed_on_at = time.monotonic()
            text = f"The machine could not be told to stop, which is tried again; it can be canceled at {self.record.url}. {error}"
            self.run.events.append(Noted(text=text, warning=True))

    def _settle(self) -> str | None:
        """What became of it, with all that it sent brought here."""
        if self.canceled:
            self._close()
            if self.run.discard_requested():
                self._forget_the_repository()
            return None
        self.run.events.append(Staged(stage="Fetching the results"))
        outcome, events = pull(self.client, self.record, self.run)
        self._repair(events)
        self._close()
        said = outcome or (type(self.outcome).__name__.lower() if self.outcome else "")
        if said == "finished" and self.run.final.is_dir():
            self.run.events.append(Trained())
            return "final"
        if said == "stopped":
            return None
        raise TrainError(self._why_it_failed())

    def _repair(self, there: list[Event]) -> None:
        """Say what the log had lost: from there on, all once more, as a resumed training does."""
        said = [event for event in there if isinstance(event, TOLD) and not isinstance(event, Saved)]
        lost = next((at for at, event in enumerate(said) if event not in self.known), None)
        if lost is None:
            return
        steps = [event.step for event in said[:lost] if isinstance(event, Stepped)]
        begun = next((event for event in said if isinstance(event, Begun)), None)
        at = steps[-1] if steps else (begun.resumed_from if begun else 0)
        if begun and any(isinstance(event, Stepped) for event in said):
            self.run.events.append(dataclasses.replace(begun, resumed_from=at))
        for event in said[lost:]:
            again = isinstance(event, Stepped | HeldOut | Sampled | Noted) and event.step > at
            if event not in self.known or again:
                self.run.events.append(event)

    def _close(self) -> None:
        spent = self.record.usd_before + cost(self.seconds, self.record.usd_per_hour)
        dataclasses.replace(self.record, settled=True, usd_before=round(spent, 4)).keep(self.run)

    def _forget_the_repository(self) -> None:
        try:
            forget(self.client, self.record)
        except PublishError as error:
            self.run.events.append(
                Noted(text=f"{self.record.repo} is still at the Hub. {error}", warning=True)
            )

    def _why_it_failed(self) -> str:
        saved = self.run.progress().saved_step
        on = (
            f"`atelier resume {self.run.name}` goes on from step {saved:,}, which is saved."
            if saved
            else f"Nothing was saved yet; `atelier resume {self.run.name}` begins again."
        )
        if isinstance(self.outcome, Failed):
            return self.outcome.message
        if self.stage == "CANCELED":
            return f"The job was canceled at the Hub ({self.record.url}). {on}"
        timed_out = "timeout" in self.message.lower() or "timed out" in self.message.lower()
        if timed_out or self.seconds >= self.record.timeout_seconds - 5:
            return f"HF Jobs ended the job after its timeout of {spoken(self.record.timeout_seconds)} (compute.timeout). {on}"
        lines = " / ".join(line.strip() for line in self.last_lines[-3:] if line.strip())
        said = f" ({self.message.rstrip('.')})" if self.message else ""
        last = f" Its last lines: {lines}." if lines else ""
        return f"The job ended with {self.stage or 'no word'}{said}.{last} {on}"


class _Log:
    """The job's log, read beside everything else, and again from where it was when the connection broke."""

    def __init__(self, client: Jobs, record: Record) -> None:
        self.client = client
        self.record = record
        self.over, self.ended = threading.Event(), threading.Event()
        self.read = 0  # lines
        self.listener = Listener()
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def start(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def heard(self) -> list[Event | str]:
        found: list[Event | str] = []
        while not self.lines.empty():
            heard = self.listener.hear(self.lines.get())
            if heard is not None:
                found.append(heard)
        return found

    def _read(self) -> None:
        """Until the job has ended, and once more to its end: what broke off last may have been the end."""
        import httpx2

        pause, follow = 1.0, True
        while not self.over.is_set():
            before = self.read
            try:
                self._read_on(follow)
                if not follow:
                    break
                follow = False
            except (httpx2.HTTPError, OSError, ValueError):
                pause = 1.0 if self.read > before else min(2 * pause, 30.0)
                self.over.wait(pause)
        self.ended.set()

    def _read_on(self, follow: bool) -> None:
        for number, line in enumerate(self.client.log(self.record.namespace, self.record.job, follow=follow)):
            if number >= self.read:
                self.read = number + 1
                self.lines.put(line)
            if self.over.is_set():
                return


def forget(client: Jobs, record: Record) -> None:
    """Delete the run's repository at the Hub, with its checkpoints and data."""
    client.ask(
        f"deleting {record.repo}",
        lambda: client.api.delete_repo(record.repo, token=client.token, missing_ok=True),
    )
