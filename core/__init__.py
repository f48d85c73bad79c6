"""Fine-tuning, from a file of examples to a published model.

    file -> examples -> tokens -> run -> events -> views

Each stage is a package here and reads only what stands to its left.
"""

__version__ = "0.1.0"
