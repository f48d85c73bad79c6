"""Several processes on one training: what each of them knows of the others, and how they share weights."""
