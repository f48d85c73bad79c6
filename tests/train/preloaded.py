"""What a training needs, imported once for all that are forked; see child.py."""

import gc

import torch._dynamo  # an optimizer asks for it
import transformers.models.llama.modeling_llama  # the bases are of this kind

import core.cli
import core.evaluate.job
import core.publish.merge
import core.train.job
import core.train.prove

gc.collect()
gc.freeze()  # what is here is here to stay, and need not be looked through by every fork
__all__ = ["core", "torch", "transformers"]
