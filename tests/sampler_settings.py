"""Settings of a sampler as its yaml gives them, and rounds of a sampler without a model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from judged_rows import judged
from omegaconf import OmegaConf

from align_cli.rows import Draw, Judged, Prompt

CONF = Path(__file__).parents[1] / "conf" / "sampler"


def settings_of(sampler: str, **changed: Any) -> dict[str, Any]:
    """What the function is called with, lists as tuples."""
    loaded: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{sampler}.yaml"))
    loaded.pop("_target_")
    return {k: tuple(v) if isinstance(v, list) else v for k, v in loaded.items()} | changed


def played(
    sampler: Callable[..., list[Draw]],
    prompts: Sequence[Prompt],
    verdict: Callable[[Draw], bool | None],
    settings: dict[str, Any],
) -> tuple[list[Draw], list[Judged]]:
    """All draws of a round, and what came of them; siblings must be numbered densely."""
    draws: list[Draw] = []
    seen: list[Judged] = []
    counts = {prompt.id: 0 for prompt in prompts}
    while new := sampler(prompts, seen, **settings):
        for draw in new:
            assert draw.index == counts[draw.prompt_id]
            counts[draw.prompt_id] += 1
            seen.append(
                judged(
                    draw.index, verdict(draw), prompt_id=draw.prompt_id, corrects=draw.corrects,
                    text=f"{draw.prompt_id}/{draw.index}",
                )
            )  # fmt: skip
        draws += new
        assert len(draws) < 10_000, "the sampler never stops"
    return draws, seen
