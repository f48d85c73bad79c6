"""The shell's verbs, by what they are about; `core.cli` puts them together."""
