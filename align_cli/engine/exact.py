"""Drawing arms from exact probabilities: the engine of bandits."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch

from align_cli.bandit.network import BanditNetwork
from align_cli.engine.sampling import Rule, sample
from align_cli.errors import ConfigError
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Draw, Generated
from align_cli.seeds import uniforms

ROWS = 4096
"""Draws whose probabilities are in memory at a time."""


def exact(
    draws: Sequence[Draw],
    prompt_ids: Sequence[tuple[int, ...]],
    keys: Sequence[int],
    model: LanguageModel,
    advance: Callable[[int, int], None],
) -> list[Generated]:
    """One arm per draw, from the policy's exact probabilities in float64.

        arm = the first k with  sum over j <= k of p(j | context)  >  u(key)

    p is at the draw's temperature, cut to its top_k and top_p, as in engine=native; one uniform
    decides one arm, by (seed, round, prompt, sample), so an arm depends on nothing else. The
    log-prob recorded is the policy's own. Only for policy=linear_softmax and policy=tabular.
    """
    network = model.network
    if not isinstance(network, BanditNetwork):
        raise ConfigError(
            f"engine=exact draws from policies whose answers are single arms, and this policy is a "
            f"{type(network).__name__}; choose engine=native, or policy=linear_softmax"
        )
    wanted: dict[Rule, list[int]] = defaultdict(list)
    for place, draw in enumerate(draws):
        decoding = draw.decoding
        wanted[Rule(decoding.temperature, decoding.top_p, decoding.top_k)].append(place)
    found: list[Generated | None] = [None] * len(draws)
    with torch.inference_mode():
        logits_XK = network.logits()
        for rule, places in wanted.items():
            for at in range(0, len(places), ROWS):
                some = places[at : at + ROWS]
                context_B = torch.tensor([prompt_ids[place][-1] for place in some])
                logits_BK = logits_XK[network.context_of(context_B.to(model.device))]
                drawn = np.array([keys[place] for place in some], dtype=np.uint64)
                arm_B, logp_B = sample(logits_BK, torch.from_numpy(uniforms(drawn, 0)), rule)
                rows = zip(some, arm_B.tolist(), logp_B.tolist(), strict=True)
                for place, arm, logp in rows:
                    found[place] = Generated(
                        prompt_token_ids=prompt_ids[place],
                        token_ids=(arm,),
                        logps=(logp,),
                        finish="stop",
                    )
                advance(len(some), len(some))
    return [one for one in found if one is not None]
