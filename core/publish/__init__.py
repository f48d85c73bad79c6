"""From a finished run to a place where others can use it."""
