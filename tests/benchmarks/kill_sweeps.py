"""Kill a sweep and its cells at random until it is through, or start it twice; compare the stores.

    python tests/benchmarks/kill_sweeps.py FOLDER [KILLS] [SEED]

makes a study of four small cells in FOLDER three times: undisturbed; with SIGKILL to the sweep or
to a cell at random moments, started again each time; and by two sweeps at once in one folder. It
ends in an error unless all three stores hold the same stages with the same bytes.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

STUDY = """
question: Is a larger beta better?
base: [tracker=none, device=cpu, threads=1, task.prompts_per_round=48, task.heldout_prompts=24,
  evaluation.samples=2, schedule.rounds=2, schedule.epochs=1, schedule.batch_size=4,
  schedule.micro_batch_size=4, schedule.checkpoint_every=2, engine.shard_draws=64]
axes: {loss.beta: [0.1, 0.5]}
seeds: 2
compare: {against: {loss.beta: 0.1}}
"""


def contents(outputs: Path) -> dict[str, str]:
    """{file of the store: sha256} of rows and weights."""
    store = outputs / ".store"
    files = [*store.rglob("*.parquet"), *store.rglob("*.safetensors")]
    return {
        str(file.relative_to(store)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(files)
    }


def begun(place: Path, outputs: str) -> subprocess.Popen[bytes]:
    """A sweep of the study with two cells at a time."""
    words = ["sweep", "small.yaml", "--jobs", "2", f"outputs={outputs}"]
    with (place / f"{outputs}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "align_cli", *words], cwd=place, stdout=log, stderr=log
        )


def cells_of(sweep: int) -> list[int]:
    """Processes below a sweep that are cells: those that write a log of a study."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            below = _below(int(entry.name), sweep)
            if below and "/logs/" in os.readlink(entry / "fd" / "1"):
                found.append(int(entry.name))
        except (ValueError, OSError):
            continue
    return found


def _below(pid: int, ancestor: int) -> bool:
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if pid == ancestor:
            return True
    return False


def killed(place: Path, kills: int, dice: random.Random) -> Counter[str]:
    """Kill at random moments, a sweep and a cell by turns, then let a last sweep end."""
    count: Counter[str] = Counter()
    while count.total() < kills:
        sweep = begun(place, "killed")
        time.sleep(dice.uniform(6, 25))
        cells = cells_of(sweep.pid)
        while sweep.poll() is None and not cells:
            time.sleep(0.5)
            cells = cells_of(sweep.pid)
        if sweep.poll() is None and count["sweep"] < count["cell"]:
            sweep.kill()
            count["sweep"] += 1
        elif cells and sweep.poll() is None:
            os.kill(dice.choice(cells), signal.SIGKILL)
            count["cell"] += 1
            if sweep.wait() == 0:
                count["cell, too late"] += 1
        elif sweep.returncode == 0:
            break
        sweep.wait()
    assert begun(place, "killed").wait() == 0, "the last sweep did not end well"
    return count


def main(place: Path, kills: int, seed: int) -> None:
    """All three, and what came of them."""
    place.mkdir(parents=True)
    (place / "small.yaml").write_text(STUDY)
    assert begun(place, "calm").wait() == 0
    print("kills:", dict(killed(place, kills, random.Random(seed))))
    both = [begun(place, "twice"), begun(place, "twice")]
    print("two at once exit with", [each.wait() for each in both])
    lines = (place / "twice" / "small" / "cells.jsonl").read_text().splitlines()
    print("attempts under two at once:", [json.loads(line)["attempts"] for line in lines])
    calm = contents(place / "calm")
    for other in ("killed", "twice"):
        theirs = contents(place / other)
        assert theirs == calm, f"{other}: {set(theirs.items()) ^ set(calm.items())}"
    print(f"{len(calm)} files of rows and weights are the same in all three stores")


if __name__ == "__main__":
    defaults = [6, 0]
    given = [int(word) for word in sys.argv[2:]]
    main(Path(sys.argv[1]), *(*given, *defaults[len(given) :]))
