"""Examples to tokens: tokenizers, templates, and which tokens are trained."""
