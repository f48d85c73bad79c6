"""Our text measures as modules of the `evaluate` library, each in a folder that `evaluate.load` takes by its path."""
