"""Sizes that a training goes by and its plan reckons with. Needs no torch, so that the plan needs none."""

LARGE = 1_000_000_000  # parameters from which a frozen base is kept in bfloat16
# Bytes of the logits that are held at once, in float32. On a processor a part should stay near its cache; below 256
# rows the products lose more than the cache gives.
LOGITS_AT_ONCE = {"cpu": 1 << 26, "cuda": 1 << 29}
FEWEST_LOGITS = 256  # rows of a part
SHORT = 512  # tokens of a document, up to which whole products are faster than torch's kernel for processors
KERNELS = 32  # tokens, of whose multiples documents are made that are longer


def logits_at_once(vocabulary: int, device: str) -> int:
    """Rows of logits that are made at once on a device of this kind."""
    held = LOGITS_AT_ONCE.get(device, LOGITS_AT_ONCE["cuda"])
    return max(FEWEST_LOGITS, held // (4 * vocabulary))
