"""What a run will take and how it will be done, decided and explained before it begins. Needs no torch."""

from core.train.plan.choose import HOUR, Change, Choice, Plan, plan, refusal, spoken, takes_hours
from core.train.plan.facts import GPU_24GB, DeviceFacts, Lengths
from core.train.plan.memory import Memory, memory_by_method
from core.train.plan.shape import ModelShape, shape_of

__all__ = [
    "GPU_24GB",
    "HOUR",
    "Change",
    "Choice",
    "DeviceFacts",
    "Lengths",
    "Memory",
    "ModelShape",
    "Plan",
    "memory_by_method",
    "plan",
    "refusal",
    "shape_of",
    "spoken",
    "takes_hours",
]
