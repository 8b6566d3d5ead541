"""Prompts that state a preference direction: answers from around the wanted one."""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt

from align_cli.errors import ConfigError
from align_cli.rows import Decoding, Draw, Judged, Prompt
from align_cli.sampler.worded import refuse_no_text, worded
from align_cli.seeds import derive


def directional(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    n: Annotated[int, ">= 1", "draws per prompt"],
    attributes: tuple[str, ...],
    target: tuple[Annotated[float, "[-1000, 1000]"], ...],
    theta_max: Annotated[float, "[0, 180]", "degrees"],
    include_target: bool,
    system_text: str,
    user_text: str,
    temperature: Annotated[float, ">= 0"],
    top_p: Annotated[float, "(0, 1]"],
    top_k: Annotated[int, ">= 0", "tokens"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> list[Draw]:
    """n answers to every prompt, each asked to weigh the attributes along a direction of its own.

        v_i = cos(a_i) v + sin(a_i) u_i,   a_i ~ uniform [0, theta_max],   u_i unit, normal to v

    v is the target as a unit vector; with two attributes u_i is one of two, so the angle is uniform
    within theta_max on both sides. Prompt and index decide v_i, so a smaller n is a prefix and
    every seed asks alike. Which answer is best by the target is the verifier's to say: one that
    scores v . R(x, y), with pairing=best_worst.

    Source: RPS (arXiv:2510.20498; theta_max 30 degrees, k 5), read second-hand: **reconstruction**;
    how its directions are drawn and worded is chosen here. There, the best answer is returned at
    inference; here the draws become pairs, trained under the prompt without a direction.

    Settings:
        n: answers per prompt.
        attributes: names of what is weighed, at least two.
        target: a weight for each; only their ratios count.
        theta_max: widest angle between a direction and the target, 0 to 180 [degrees].
        include_target: whether the first draw states the target itself.
        system_text, user_text: the request, {direction} standing for the weights of the unit
            vector ("helpfulness 0.87, brevity 0.50"): after the system message (or as one), and
            after the last user message as it is; empty: none. {direction} is needed in one.
        temperature, top_p, top_k, max_new_tokens: as in sampler=best_of_n.
    """
    refuse_no_text("directional", system_text=system_text, user_text=user_text)
    if "{direction}" not in system_text + user_text:
        raise ConfigError(
            f"sampler.system_text {system_text!r} and sampler.user_text {user_text!r} have no "
            "{direction}, so no draw would state one; write it where the weights belong"
        )
    v = _unit(attributes, target)
    if judged:
        return []
    decoding = Decoding(
        max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
    )
    draws = []
    for prompt in prompts:
        for index in range(n):
            given = include_target and index == 0
            direction = v if given else near(v, theta_max, derive("direction", prompt.id, index))
            words = stated(attributes, direction)
            asked = worded(
                prompt.messages,
                system_text=system_text.replace("{direction}", words),
                user_text=user_text.replace("{direction}", words),
            )
            draws.append(Draw(prompt_id=prompt.id, index=index, messages=asked, decoding=decoding))
    return draws


def near(v: npt.NDArray[np.float64], theta_max: float, seed: int) -> npt.NDArray[np.float64]:
    """A unit vector within theta_max [degrees] of the unit vector v."""
    random = np.random.default_rng(seed)
    angle = math.radians(theta_max) * random.random()
    step = random.standard_normal(v.size)
    across = step - (step @ v) * v
    turned: npt.NDArray[np.float64] = math.cos(angle) * v + math.sin(angle) * (
        across / np.linalg.norm(across)
    )
    return turned


def stated(attributes: Sequence[str], direction: npt.NDArray[np.float64]) -> str:
    """`helpfulness 0.87, brevity 0.50`; no minus before a zero."""
    weights = [f"{round(float(weight), 2) + 0.0:.2f}" for weight in direction]
    return ", ".join(f"{name} {weight}" for name, weight in zip(attributes, weights, strict=True))


def _unit(attributes: Sequence[str], target: Sequence[float]) -> npt.NDArray[np.float64]:
    if len(attributes) < 2 or len(set(attributes)) < len(attributes):
        raise ConfigError(
            f"sampler.attributes {list(attributes)}: wanted two or more different names; one alone "
            "has no direction"
        )
    if len(target) != len(attributes):
        raise ConfigError(
            f"sampler.target has {len(target)} weights for {len(attributes)} sampler.attributes "
            f"{list(attributes)}; give one for each"
        )
    v = np.array(target, dtype=np.float64)
    length = np.linalg.norm(v)
    if length == 0:
        raise ConfigError(
            f"sampler.target {list(target)} points nowhere; give a weight other than 0"
        )
    unit: npt.NDArray[np.float64] = v / length
    return unit
