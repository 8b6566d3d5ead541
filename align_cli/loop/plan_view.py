"""What a run would do, without doing it: no model is loaded and nothing is written."""

from pathlib import Path
from typing import TYPE_CHECKING

from align_cli.store.run_folder import round_name

if TYPE_CHECKING:
    from align_cli.config.schema import RunConfig

STAGES = ("1_prompts", "2_completions", "3_labels", "4_pairs", "5_policy", "6_scores")
EXTRAPOLATED = "5_policy_extrapolated"
"""After `5_policy`, where the schedule extrapolates; no round before the second does."""


def plan_lines(config: "RunConfig") -> list[str]:
    """Folder, rounds, and for each round which stages are there already and which are to do."""
    folder = Path(config.outputs) / config.run_name()
    schedule = config.bindings["schedule"].settings
    rounds = int(schedule["rounds"])
    lines = [f"folder   {folder} ({'exists: would go on' if folder.exists() else 'new'})"]
    lines.append(f"rounds   {rounds}, after scoring the policy they start from")
    for number in [None, *range(rounds)]:
        here = folder / round_name(number)
        wanted = STAGES if number is not None else ("1_prompts", "5_policy", "6_scores")
        if number and schedule.get("extrapolation"):
            wanted = (*wanted[:-1], EXTRAPOLATED, wanted[-1])
        done = [stage for stage in wanted if (here / f"{stage}.json").is_file()]
        todo = [stage for stage in wanted if stage not in done]
        state = "done" if not todo else f"to do: {', '.join(todo)}"
        lines.append(f"{round_name(number):8s} {state}")
    return lines
