"""A study file, read and checked: a question, axes, seeds, and what is compared with what."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from align_cli.config.nearest import listed, meant
from align_cli.config.values import word_of
from align_cli.errors import ConfigError
from align_cli.study.budget import Budget, read_budget

Cost = Literal["generated_tokens", "total_flops", "seconds"]
KEYS = ("question", "base", "axes", "seeds", "exclude", "compare", "budget")
LABEL = re.compile(r"[\w.+-]+")
"""Labels are parts of names: of cells in tables, and of files."""


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Which cells are held against which, by what."""

    metric: str = "eval/sampled_accuracy"
    """A number of stage 6_scores."""
    cost: Cost = "generated_tokens"
    """What curves are drawn against."""
    against: Mapping[str, str] = field(default_factory=dict)
    """{axis: label} of the baseline, within each combination of the other axes."""
    cells: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """{axis: labels} that are compared with it; empty is every other cell."""
    tune: tuple[str, ...] = ()
    """Axes whose value each method chooses for itself (study/tuning.py)."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question and the grid of runs that is to answer it."""

    name: str
    """Its folder under `outputs`."""
    question: str
    base: tuple[str, ...]
    """Overrides of every cell."""
    axes: Mapping[str, Mapping[str, tuple[str, ...]]]
    """{axis: {label: overrides}}"""
    seeds: tuple[int, ...]
    exclude: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    """Each {axis: labels}: a cell that fits all of one is left out."""
    compare: Compare = field(default_factory=Compare)
    budget: Budget = field(default_factory=Budget)

    def as_values(self) -> dict[str, Any]:
        """The study with every default filled in, as plain values."""
        return {
            "name": self.name,
            "question": self.question,
            "base": list(self.base),
            "axes": {a: {v: list(w) for v, w in vs.items()} for a, vs in self.axes.items()},
            "seeds": list(self.seeds),
            "exclude": [{a: list(v) for a, v in each.items()} for each in self.exclude],
            "compare": {
                "metric": self.compare.metric,
                "cost": self.compare.cost,
                "against": dict(self.compare.against),
                "cells": {a: list(v) for a, v in self.compare.cells.items()},
                "tune": list(self.compare.tune),
            },
            "budget": self.budget.as_values(),
        }


def read_study(values: Mapping[str, Any], *, name: str, where: str, words: Iterable[str]) -> Study:
    """Check a study's plain values; `words` are the keys that an axis may sweep directly."""
    _known(values, KEYS, where)
    for key in ("question", "axes", "seeds"):
        if key not in values:
            raise ConfigError(f"{where}: no {key!r}; a study has a question, axes and seeds")
    question = values["question"]
    if not isinstance(question, str) or not question.strip():
        raise ConfigError(f"{where}: question: got {question!r}, wanted a sentence")
    axes = _axes(values["axes"], where, tuple(words))
    study = Study(
        name=name,
        question=" ".join(question.split()),
        base=_words(values.get("base", []), f"{where}: base"),
        axes=axes,
        seeds=_seeds(values["seeds"], where),
        exclude=tuple(_exclude(values.get("exclude", []), where, axes)),
        compare=_compare(values.get("compare", {}), where, axes),
        budget=read_budget(values.get("budget", {}), f"{where}: budget", tuple(axes)),
    )
    for word in study.base:
        if word.lstrip("+~").split("=")[0] in ("seed", "name"):
            raise ConfigError(
                f"{where}: base: {word!r}: seeds are listed under `seeds`, and runs are named "
                "by what they are"
            )
    return study


def _known(values: Any, keys: Sequence[str], where: str) -> None:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: got {values!r}, wanted keys of {listed(keys)}")
    for key in values:
        if key in ("defaults", "hydra"):
            raise ConfigError(
                f"{where}: {key!r} is of a primary config of Hydra's: "
                "align run --config-dir FOLDER --config-name NAME runs it; "
                f"a study has {listed(keys)}"
            )
        if key not in keys:
            raise ConfigError(f"{where}: {key}: no such key{meant(str(key), keys)}; "
                              f"the keys are {listed(keys)}")  # fmt: skip


def _words(value: Any, where: str) -> tuple[str, ...]:
    listed_words = [value] if isinstance(value, str) else value
    if not isinstance(listed_words, list) or not all(isinstance(w, str) for w in listed_words):
        raise ConfigError(f"{where}: got {value!r}, wanted overrides: [loss=dpo, loss.beta=0.1]")
    return tuple(listed_words)


def _axes(values: Any, where: str, words: Sequence[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: axes: got {values!r}, wanted AXIS: [VALUE, ...] lines")
    if not values:
        raise ConfigError(f"{where}: axes: there is none: the grid is empty")
    axes: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, points in values.items():
        axis, place = str(name), f"{where}: axes.{name}"
        if isinstance(points, Mapping):
            axes[axis] = {str(k): _words(v, f"{place}.{k}") for k, v in points.items()}
        elif isinstance(points, list):
            axes[axis] = _swept(axis, points, place, words)
        else:
            raise ConfigError(f"{place}: got {points!r}, wanted a list, or NAME: [OVERRIDE, ...]")
        if not axes[axis]:
            raise ConfigError(f"{place}: has no value: the grid is empty")
        for label in (axis, *axes[axis]):
            if not LABEL.fullmatch(label):
                raise ConfigError(
                    f"{place}: {label!r} names cells and files, so it may hold letters, digits "
                    "and _ . + - only; give the value a name: NAME: [OVERRIDE, ...]"
                )
    return axes


def _swept(
    axis: str, points: list[Any], place: str, words: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The values of one key; each is labelled by itself."""
    if axis in ("seed", "name", "outputs"):
        raise ConfigError(f"{place}: {axis} is no axis; seeds are listed under `seeds`")
    if axis.split(".")[0] not in words:
        named = "; an axis of several keys names its values: NAME: [OVERRIDE, ...]"
        raise ConfigError(f"{place}: no such key{meant(axis, words)}{named}")
    found: dict[str, tuple[str, ...]] = {}
    for point in points:
        word = word_of(axis, point)
        label = word.split("=", 1)[1]
        if label in found:
            raise ConfigError(f"{place}: {label} is there twice")
        found[label] = (word,)
    return found


def _seeds(value: Any, where: str) -> tuple[int, ...]:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return tuple(range(value))
    good = isinstance(value, list) and value
    if not good or not all(isinstance(s, int) and not isinstance(s, bool) for s in value):
        raise ConfigError(f"{where}: seeds: got {value!r}, wanted [0, 1, 2], or 3 for the same")
    if len(set(value)) < len(value):
        raise ConfigError(f"{where}: seeds: {value} names a seed twice")
    return tuple(value)


def _exclude(
    value: Any, where: str, axes: Mapping[str, Mapping[str, Any]]
) -> Iterable[Mapping[str, tuple[str, ...]]]:
    if not isinstance(value, list):
        raise ConfigError(f"{where}: exclude: got {value!r}, wanted [{{AXIS: VALUE, ...}}, ...]")
    for number, each in enumerate(value):
        yield _labels(each, f"{where}: exclude[{number}]", axes)


def _compare(value: Any, where: str, axes: Mapping[str, Mapping[str, Any]]) -> Compare:
    place = f"{where}: compare"
    _known(value, ("metric", "cost", "against", "cells", "tune"), place)
    cost = value.get("cost", "generated_tokens")
    if cost not in get_args(Cost):
        choices = get_args(Cost)
        raise ConfigError(f"{place}.cost: got {cost!r}{meant(str(cost), choices)}; "
                          f"wanted one of {listed(choices)}")  # fmt: skip
    metric = value.get("metric", Compare.metric)
    if not isinstance(metric, str) or not metric.startswith("eval/"):
        raise ConfigError(f"{place}.metric: got {metric!r}, wanted one of 6_scores: eval/...")
    against = _labels(value.get("against", {}), f"{place}.against", axes)
    for axis, labels in against.items():
        if len(labels) != 1:
            raise ConfigError(f"{place}.against.{axis}: got {list(labels)}, wanted one value")
    return Compare(
        metric=metric,
        cost=cost,
        against={axis: labels[0] for axis, labels in against.items()},
        cells=_labels(value.get("cells", {}), f"{place}.cells", axes),
        tune=_tune(value.get("tune", []), f"{place}.tune", axes, against),
    )


def _tune(
    value: Any, place: str, axes: Mapping[str, Any], against: Mapping[str, Any]
) -> tuple[str, ...]:
    named = [value] if isinstance(value, str) else value
    if not isinstance(named, list):
        raise ConfigError(f"{place}: got {value!r}, wanted axes: [schedule.learning_rate]")
    for axis in named:
        if axis not in axes:
            raise ConfigError(f"{place}: {axis}: no such axis{meant(str(axis), axes)}; "
                              f"the axes are {listed(axes)}")  # fmt: skip
        if axis in against:
            raise ConfigError(
                f"{place}: {axis} is what cells are compared by (compare.against), so it cannot "
                "be chosen by each of them as well"
            )
    return tuple(named)


def _labels(
    value: Any, place: str, axes: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[str, ...]]:
    """{axis: labels} where every axis and label is the study's."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place}: got {value!r}, wanted AXIS: VALUE")
    found: dict[str, tuple[str, ...]] = {}
    for axis, points in value.items():
        if axis not in axes:
            raise ConfigError(f"{place}.{axis}: no such axis{meant(str(axis), axes)}; "
                              f"the axes are {listed(axes)}")  # fmt: skip
        labels = [label_of(each) for each in (points if isinstance(points, list) else [points])]
        for label in labels:
            if label not in axes[axis]:
                there = listed(axes[axis])
                raise ConfigError(
                    f"{place}.{axis}: {label}: no such value{meant(label, axes[axis])}; "
                    f"it has {there}"
                )
        found[str(axis)] = tuple(labels)
    return found


def label_of(point: Any) -> str:
    """How a value that a study file mentions is labelled."""
    return word_of("x", point).split("=", 1)[1]
