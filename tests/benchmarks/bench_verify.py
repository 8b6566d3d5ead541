"""Answers a minute of the math verifier, killable workers on, by process count.

    python tests/benchmarks/bench_verify.py ../shared/data/gsm8k_solutions/solutions.jsonl

Measured on 25 November 2026 on two cores that other work kept busy (load 7 to 9), for the 1,600
labelled GSM8K solutions, the start of the workers included: workers=1 39,216 answers a minute
[25,962-48,296], workers=2 33,356 [32,975-36,842] (medians and ranges of 3 runs).
"""

import argparse
import statistics

from align_cli.agreement.judging import judge_all
from align_cli.agreement.known_answers import read_known
from align_cli.config.compose import compose
from align_cli.report.reporter import Silent


def main() -> None:
    """Print the median and the range over repeats, once per number of workers."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    given = options.parse_args()
    _, known = read_known(
        given.file, question=None, gold=None, gold_after="A:", answers=[], labels=[]
    )
    for workers in given.workers:
        config = compose(["verifier=math", f"verifier.workers={workers}"])
        verifier = config.bindings["verifier"].load()
        rates = []
        for _ in range(given.repeats):
            _, seconds = judge_all(verifier, known, Silent())
            rates.append(60 * len(known) / seconds)
        print(
            f"workers={workers}: median {statistics.median(rates):,.0f} answers a minute "
            f"[{min(rates):,.0f}-{max(rates):,.0f}], {len(known):,} answers, {given.repeats} runs"
        )


if __name__ == "__main__":
    main()
