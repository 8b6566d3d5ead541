"""Runs that differ in the number of draws read one pool where their policy is the same."""

import os
from pathlib import Path

import pytest
from small_runs import run_small

from align_cli.loop.pool import block_of, bounds

SMALL = ("schedule.rounds=1", "task.prompts_per_round=16")


def drawn(run: Path) -> dict[str, str]:
    """{stage: where in the store it lies} of a run's completions and labels."""
    places = [*run.glob("round_00/2_completions/*"), *run.glob("round_00/3_labels/*")]
    return {
        f"{place.parent.name}/{place.name}": os.path.realpath(place)
        for place in places
        if place.is_dir()
    }


@pytest.mark.parametrize("count", range(1, 70))
def test_blocks_hold_every_index_once(count: int) -> None:
    cut = list(bounds(count))
    assert [index for start, end in cut for index in range(start, end)] == list(range(count))
    assert all(block_of(index) == start for start, end in cut for index in range(start, end))


def test_fewer_draws_are_found_in_more(tmp_path: Path) -> None:
    for count in (8, 2, 4):
        run_small(tmp_path, f"sampler.n={count}", f"name=best_{count}", *SMALL)
    eight, four, two = (drawn(tmp_path / f"best_{count}") for count in (8, 4, 2))
    for kind in ("2_completions", "3_labels"):
        names = [f"{kind}/pass_0", f"{kind}/pass_0_from_2", f"{kind}/pass_0_from_4"]
        assert [name for name in sorted(eight) if name.startswith(kind)] == names
    assert two.items() <= four.items() <= eight.items()
    assert len(set(eight.values())) == len(eight)


def test_a_pool_once_small_grows(tmp_path: Path) -> None:
    """What a run with fewer draws has made is not made again, whichever ran first."""
    run_small(tmp_path, "sampler.n=2", "name=small", *SMALL)
    run_small(tmp_path, "sampler.n=4", "name=large", *SMALL)
    assert drawn(tmp_path / "small").items() <= drawn(tmp_path / "large").items()


def test_the_first_pass_of_pace_is_the_pool_of_best_of_two(tmp_path: Path) -> None:
    run_small(tmp_path, "sampler.n=4", "name=best", *SMALL)
    run_small(tmp_path, "sampler=pace", "name=pace", *SMALL)
    best, pace = drawn(tmp_path / "best"), drawn(tmp_path / "pace")
    assert pace["2_completions/pass_0"] == best["2_completions/pass_0"]
    assert pace["3_labels/pass_0"] == best["3_labels/pass_0"]
    assert pace["2_completions/pass_1"] not in best.values()
