"""Fingerprints of public benchmarks, so that their questions are not trained on; see README.md."""
