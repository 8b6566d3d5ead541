"""Displacement by loss: where the chosen answers went while one round's pairs were over-trained.

    python docs/displacement/draw.py outputs/displacement [figure.png]

Reads the settings and `metrics.jsonl` of every finished run of the folder, prints the tables of
docs/displacement.md, and draws the figure (matplotlib: the extra `figures`). Runs of one seed that
differ in `schedule.epochs` alone are one training, looked at more than once.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

CHOSEN, REJECTED = "train/chosen_logratio_nats", "train/rejected_logratio_nats"
AFTER = {
    "chosen": "after/chosen_logratio_nats",
    "rejected": "after/rejected_logratio_nats",
    "margin": "margin",
    "chosen fallen": "after/chosen_fallen_share",
    "sampled accuracy": "eval/sampled_accuracy",
    "KL to the start": "eval/kl_initial_nats",
}
"""{column: number after the last step}; `margin` is chosen minus rejected."""
MARGINS_NATS = (1.0, 2.0)


@dataclass(frozen=True)
class Run:
    """One finished run of one round."""

    loss: str
    seed: int
    epochs: int
    settings: dict[str, Any]
    steps: list[dict[str, float]]
    after: dict[str, float]
    """What its round came to."""
    before: float
    """Sampled accuracy of the policy that it began with."""

    def trajectory(self, metric: str, parts: int = 1) -> list[float]:
        """Means over each epoch, in which every pair is seen once, or over parts of epochs."""
        values = [step[metric] for step in self.steps]
        size = len(values) // (self.epochs * parts)
        return [_mean(values[at : at + size]) for at in range(0, len(values), size)]

    def margins(self, parts: int = 1) -> list[float]:
        """Chosen minus rejected log-ratio [nats], epoch by epoch."""
        sides = zip(self.trajectory(CHOSEN, parts), self.trajectory(REJECTED, parts), strict=True)
        return [chosen - rejected for chosen, rejected in sides]

    def chosen_at(self, margin: float) -> float | None:
        """Chosen log-ratio where the margin first reaches `margin` [nats]; None if it does not."""
        margins, chosen = [0.0, *self.margins(2)], [0.0, *self.trajectory(CHOSEN, 2)]
        for k in range(1, len(margins)):
            if margins[k] >= margin:
                share = (margin - margins[k - 1]) / (margins[k] - margins[k - 1])
                return chosen[k - 1] + share * (chosen[k] - chosen[k - 1])
        return None


def read(outputs: Path) -> list[Run]:
    """Every finished run, named by its loss and what else sets it apart from that loss's runs."""
    found = [_run(file.parent) for file in sorted(outputs.glob("*/metrics.jsonl"))]
    runs = [run for run in found if run is not None]
    named = []
    for run in runs:
        alike = [other.settings for other in runs if other.loss == run.loss]
        apart = [k for k, v in run.settings.items() if any(o.get(k) != v for o in alike)]
        extra = ", ".join(f"{k.split('.')[-1]} {run.settings[k]:g}" for k in apart)
        named.append(
            Run(**{**run.__dict__, "loss": f"{run.loss} ({extra})" if extra else run.loss})
        )
    return named


def _run(folder: Path) -> Run | None:
    settings = json.loads((folder / ".identity.json").read_text())
    choices: Any = OmegaConf.load(folder / "config.yaml")
    loss = next(each["loss"] for each in choices.defaults if "loss" in each)
    steps: list[dict[str, float]] = []
    after: dict[str, float] = {}
    before = float("nan")
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        metrics = entry["metrics"]
        if entry["step"] is not None:
            steps.append(metrics)
        elif entry["round"] == 0:
            after |= metrics
        elif entry["stage"] == "6_scores":
            before = metrics["eval/sampled_accuracy"]
    if "eval/sampled_accuracy" not in after:
        return None
    after["margin"] = after[AFTER["chosen"]] - after[AFTER["rejected"]]
    seed, epochs = settings.pop("seed"), settings.pop("schedule.epochs")
    return Run(loss, seed, epochs, settings, steps, after, before)


def table(runs: Sequence[Run]) -> str:
    """After the longest training: mean (least to greatest over seeds), a line per loss [nats]."""
    longest = max(run.epochs for run in runs)
    heads = [*AFTER, *(f"chosen at margin {margin:g}" for margin in MARGINS_NATS)]
    lines = [f"| loss | seeds | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for loss in _losses(runs):
        mine = [run for run in runs if (run.loss, run.epochs) == (loss, longest)]
        cells = [_cell([run.after[metric] for run in mine]) for metric in AFTER.values()]
        cells += [_cell([run.chosen_at(margin) for run in mine]) for margin in MARGINS_NATS]
        lines.append(f"| {loss} | {len(mine)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def accuracies(runs: Sequence[Run]) -> str:
    """Sampled accuracy by epochs: mean (least to greatest over seeds)."""
    looks = sorted({run.epochs for run in runs})
    lines = [f"| loss | {' | '.join(map(str, looks))} |", "|---" * (len(looks) + 1) + "|"]
    for loss in _losses(runs):
        cells = [
            _cell([r.after[AFTER["sampled accuracy"]] for r in runs if (r.loss, r.epochs) == at])
            for at in ((loss, look) for look in looks)
        ]
        lines.append(f"| {loss} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _losses(runs: Sequence[Run]) -> list[str]:
    known = {loss: place for place, loss in enumerate(PAINT)}
    return sorted({run.loss for run in runs}, key=lambda loss: (known.get(loss, len(known)), loss))


def _cell(values: Sequence[float | None]) -> str:
    """A margin that some seed never reaches has no mean."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not values:
        return "-"
    return f"{_mean(known):.2f} ({min(known):.2f} to {max(known):.2f})"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


PAINT = {"dpo": "#d55e00", "squaredpo": "#0072b2", "chi_po": "#cc79a7", "dpo_nll": "#009e73",
         "ipo": "#7f7f7f"}  # fmt: skip
"""{loss: a colour that most eyes tell apart}; other losses are in the table alone."""


def draw(runs: Sequence[Run], file: Path) -> None:
    """Three panels: the fall by epoch, the fall by margin, what it did to accuracy."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (fall, trade, score) = pyplot.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    longest = max(run.epochs for run in runs)
    for loss, colour in PAINT.items():
        mine = [run for run in runs if run.loss == loss]
        full = [run for run in mine if run.epochs == longest]
        if not full:
            continue
        _band(fall, [k + 0.5 for k in range(longest)], [r.trajectory(CHOSEN) for r in full], colour)
        margin = _means([run.margins() for run in full])
        chosen = _means([run.trajectory(CHOSEN) for run in full])
        trade.plot([0, *margin], [0, *chosen], marker=".", color=colour, label=loss)
        _scores(score, mine, colour)
    nats = "chosen: log(policy / reference) [nats]"
    _label(fall, "over-training falls on the chosen answers", "epochs on one round's pairs", nats)
    _label(trade, "the same, by how well pairs are told apart", "chosen - rejected [nats]", nats)
    _label(score, "what is left on held-out problems", "epochs on one round's pairs", "accuracy")
    trade.legend(frameon=False)
    figure.savefig(file, dpi=90)


def _band(axes: Any, places: Sequence[float], rows: Sequence[list[float]], colour: str) -> None:
    """Mean over seeds, and from the least to the greatest of them."""
    columns = list(zip(*rows, strict=True))
    low, high = [min(column) for column in columns], [max(column) for column in columns]
    axes.plot([0, *places], [0, *_means(rows)], color=colour)
    axes.fill_between([0, *places], [0, *low], [0, *high], color=colour, alpha=0.18, lw=0)


def _scores(axes: Any, runs: Sequence[Run], colour: str) -> None:
    """Sampled accuracy after as many epochs as were looked at."""
    by_epochs: dict[int, list[float]] = defaultdict(list)
    by_epochs[0] = [run.before for run in runs]
    for run in runs:
        by_epochs[run.epochs].append(run.after["eval/sampled_accuracy"])
    looks = sorted(by_epochs)
    # A line through one look alone would tell of a course that nobody has seen.
    line = "-" if len(looks) > 2 else "none"
    means = [_mean(by_epochs[look]) for look in looks]
    axes.plot(looks, means, ls=line, marker="o", ms=4, color=colour)
    for look in looks:
        axes.vlines(look, min(by_epochs[look]), max(by_epochs[look]), color=colour, alpha=0.5)


def _means(rows: Sequence[list[float]]) -> list[float]:
    return [_mean(column) for column in zip(*rows, strict=True)]


def _label(axes: Any, title: str, across: str, up: str) -> None:
    axes.set_title(title, loc="left")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    if up.endswith("[nats]"):
        axes.axhline(0, color="black", lw=0.8)


if __name__ == "__main__":
    everything = read(Path(sys.argv[1]))
    print(table(everything), accuracies(everything), sep="\n\n")
    if len(sys.argv) > 2:
        draw(everything, Path(sys.argv[2]))
