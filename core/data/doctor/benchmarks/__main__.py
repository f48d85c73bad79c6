"""Makes fingerprints of a benchmark's questions: hashes, from which no text can be read back.

python -m core.data.doctor.benchmarks test.jsonl core/data/doctor/benchmarks/gsm8k_test.npz "GSM8K's test set" --of 1319
"""

import argparse
import json
from pathlib import Path

from core.data.doctor.leakage import Known


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("questions", type=Path, help="JSON lines, in the benchmark's own order")
    parser.add_argument("fingerprints", type=Path, help="the .npz file to write")
    parser.add_argument("name", help='as in "The row holds question 7 of ..."')
    parser.add_argument("--of", type=int, help="questions of the whole benchmark, if the file has fewer")
    parser.add_argument("--key", default="question", help="the key that holds the question")
    given = parser.parse_args()
    with given.questions.open(encoding="utf-8") as lines:
        known = Known.from_questions(given.name, (json.loads(line)[given.key] for line in lines), given.of)
    known.save(given.fingerprints)
    print(f"{given.fingerprints}: {len(known):,} of {known.of:,} questions of {known.name}.")


if __name__ == "__main__":
    main()
