"""What a run would take on a machine of HF Jobs: time, money, and after how long it shall be ended."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import SpecError
from core.remote.flavors import Flavor
from core.spec import ComputeSettings
from core.train.plan import spoken

SETTING_UP = 300.0  # seconds until training begins: the machine starts, packages and the base come
SCORING = 1.2  # times the training, for the scores afterwards
MARGIN = 2.0  # times the estimate, which was made without having seen the machine
SHORTEST = 30 * 60  # seconds
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Estimate:
    flavor: str
    title: str
    usd_per_hour: float
    seconds: float  # as billed: setting up, training, scoring
    usd: float
    timeout_seconds: int  # when HF Jobs ends it
    usd_at_most: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def estimate(training_seconds: float, flavor: Flavor, compute: ComputeSettings) -> Estimate:
    """From the plan's time. SpecError if compute.timeout ends the run before it can have come to its end."""
    seconds = SETTING_UP + SCORING * training_seconds
    timeout = seconds_of(compute.timeout) if compute.timeout else timeout_for(seconds)
    if timeout < SETTING_UP:
        raise SpecError(
            f"compute.timeout is {compute.timeout}, and a machine takes about {spoken(SETTING_UP)} to set up: give more, or "
            "leave it to the estimate."
        )
    return Estimate(
        flavor.name,
        flavor.title,
        flavor.usd_per_hour,
        round(seconds),
        round(cost(seconds, flavor.usd_per_hour), 2),
        timeout,
        round(cost(timeout, flavor.usd_per_hour), 2),
    )


def timeout_for(seconds: float) -> int:
    """With a margin, in whole ten minutes."""
    return max(SHORTEST, math.ceil(MARGIN * seconds / 600) * 600)


def seconds_of(timeout: str) -> int:
    """`90m`, `6h`, `1800`, as the Jobs API reads them."""
    number, unit = (timeout[:-1], timeout[-1]) if timeout[-1] in UNITS else (timeout, "s")
    return int(float(number) * UNITS[unit])


def cost(seconds: float, usd_per_hour: float) -> float:
    """US dollars; every minute that has begun is paid."""
    return math.ceil(seconds / 60) / 60 * usd_per_hour


def as_text(found: dict[str, Any]) -> str:
    """The same on every road: in `atelier plan`, before a start, on the page."""
    text = (
        f"On {found['flavor']} ({found['title']}, ${found['usd_per_hour']:.2f} an hour): about {spoken(found['seconds'])} with "
        f"setting up and scoring, ${found['usd']:.2f}; ended after {spoken(found['timeout_seconds'])} at the latest, which "
        f"would cost ${found['usd_at_most']:.2f}."
    )
    if found["timeout_seconds"] < found["seconds"]:
        text += " That is sooner than it is likely to be done: raise compute.timeout, or resume from its last checkpoint."
    return text
