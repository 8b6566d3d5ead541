"""What stands in for a cell's process; imports little, so that it starts at once."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def fake(config_file: str) -> None:
    """What a cell's process does, by `orders.json` in the working folder of the study."""
    file = Path(config_file).absolute()
    root, run = file.parents[3], file.parents[2] / file.stem
    with (root / "executed.txt").open("a") as stream:
        stream.write(f"{file.stem}\n")
    (root / f"{file.stem}.pid").write_text(str(os.getpid()))
    known = root / "orders.json"
    orders = json.loads(known.read_text()) if known.exists() else {}
    order = orders.get(file.stem, orders.get("*", "ok"))
    print("beginning", file.stem)
    if order == "fail":
        sys.exit("NothingToTrain: no pair in round 0")
    if order == "once" and (root / "executed.txt").read_text().count(file.stem) == 1:
        sys.exit("NothingToTrain: not yet")
    if order == "mistake":
        sys.exit(2)
    if order == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "nothing":
        sys.exit(0)
    if order == "hang":
        time.sleep(60)
    run.mkdir(parents=True, exist_ok=True)
    totals = dict.fromkeys(("run_seconds", "outside_stages_seconds", "setup_seconds"), 1.0)
    metrics = {f"time/{name}": value for name, value in totals.items()}
    line = {"round": None, "stage": "run", "step": None, "metrics": metrics}
    (run / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    (run / "config.yaml").write_text("")
