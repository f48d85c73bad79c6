"""GGUF files, which llama.cpp and Ollama read: written by the `gguf` package, read back, and held against the model.

    formats      the number formats, what each costs, and how far each may be from the model
    vocabulary   a tokenizer as llama.cpp needs it, or why it cannot be written
    shapes       a model's shape and its tensors, in llama.cpp's terms
    write        the file
    reading      the file opened again: its table of tokens, its tensors, and how llama.cpp would read a text with it

Importing this loads none of the heavy libraries.
"""

from core.publish.gguf.formats import formats

__all__ = ["formats"]
