"""What the loop can hand to each group, by parameter name, and what it keeps for itself."""

import math
from collections.abc import Collection, Mapping
from typing import Final

from align_cli.config.kinds import Kind, union
from align_cli.config.ranges import Range
from align_cli.config.signature import Setting

LOSS_DATA: Final[Mapping[str, frozenset[str]]] = {
    "pairs": frozenset(
        {
            "pairs",
            "ref_pairs",
            "start_pairs",
            "pair_labels",
            "tokens",
            "ref_tokens",
            "token_kls",
            "ref_activations",
            "token_masks",
            "fresh",
            "ref_fresh",
        }
    ),
    "groups": frozenset({"groups", "ref_groups", "group_labels", "mismatch_logratio_G"}),
}
"""{what a pairing rule supplies: what is known of it}; a loss asks for one kind only."""

OFFERS: Final[Mapping[str, frozenset[str]]] = {
    "task": frozenset({"split", "round_number", "seed"}),
    "demonstration": frozenset({"seed"}),
    "preference": frozenset(),
    "policy": frozenset({"folder", "seed", "prompts"}),
    "engine": frozenset({"draws", "prompt_ids", "keys", "model", "advance"}),
    "sampler": frozenset({"prompts", "judged", "policy", "pool", "features", "seed"}),
    "verifier": frozenset(
        {"prompts", "completions", "siblings", "earlier", "outcome", "rubric", "device", "say"}
    ),
    "noise": frozenset({"label", "prompt", "completion", "seed"}),
    "pairing": frozenset({"siblings", "seed"}),
    "filter": frozenset(
        {
            "pairs",
            "siblings",
            "seed",
            "round_pairs",
            "answers",
            "prompts",
            "policy",
            "device",
            "say",
        }
    ),
    "loss": LOSS_DATA["pairs"] | LOSS_DATA["groups"],
    "objective": frozenset({"chosen_BD", "rejected_BD", "margin_B"}),
    "schedule": frozenset(),
    "evaluation": frozenset({"prompts", "policy", "before", "against"}),
    "tracker": frozenset({"run"}),
    "train": frozenset(),
    "lab": frozenset(),
}

LOOP_SETTINGS: Final[Mapping[str, Mapping[str, Setting]]] = {
    "engine": {
        "shard_draws": Setting(
            "shard_draws",
            Kind("int", ranges=(Range(">= 1", 1.0, math.inf, True, False),), unit="completions"),
        )
    },
    "objective": {
        "outputs": Setting(
            "outputs",
            Kind("int", ranges=(Range(">= 1", 1.0, math.inf, True, False),), unit="logits"),
        )
    },
    "verifier": {
        "max_unscored": Setting(
            "max_unscored",
            Kind("float", ranges=(Range("[0, 1]", 0.0, 1.0, True, True),), unit="share"),
        )
    },
    "evaluation": {
        "verifier": Setting(
            "verifier", Kind("union", parts=(Kind("str"), Kind("dict"), Kind("None"))), None
        ),
        "audit": Setting("audit", Kind("bool"), True),
    },
}
"""Settings of a group that the loop reads and the function never sees."""

_FRESH: Final[Mapping[str, Setting]] = {
    "fresh_samples": Setting(
        "fresh_samples",
        Kind(
            "int",
            ranges=(Range(">= 2", 2.0, math.inf, True, False),),
            unit="draws per prompt, step",
        ),
    ),
    "max_new_tokens": Setting(
        "max_new_tokens",
        Kind("int", ranges=(Range(">= 1", 1.0, math.inf, True, False),), unit="tokens"),
    ),
}
_FEATURES: Final[Mapping[str, Setting]] = {
    "features_of": Setting(
        "features_of", Kind("Literal", choices=("mean_hidden", "last_hidden", "embedding"))
    ),
    "embedding_target": Setting(
        "embedding_target", union([Kind("str"), Kind("None")]), default=None
    ),
}
_COUNT = Range(">= 1", 1.0, math.inf, True, False)
_RUBRIC: Final[Mapping[str, Setting]] = {
    "rubric": Setting("rubric", Kind("str")),
    "every": Setting("every", Kind("int", ranges=(_COUNT,), unit="rounds")),
    "examples": Setting("examples", Kind("int", ranges=(_COUNT,), unit="answers")),
    "meta_prompt": Setting("meta_prompt", Kind("str")),
    "meta_max_tokens": Setting("meta_max_tokens", Kind("int", ranges=(_COUNT,), unit="tokens")),
    "most_words": Setting("most_words", Kind("int", ranges=(_COUNT,), unit="words")),
}
NEED_SETTINGS: Final[Mapping[str, Mapping[str, Setting]]] = {
    "fresh": _FRESH,
    "ref_fresh": _FRESH,
    "features": _FEATURES,
    "rubric": _RUBRIC,
}
"""The same, of a function that asks for the data named."""


def loop_settings(group: str, needs: Collection[str]) -> dict[str, Setting]:
    """What the loop reads of a component of this group that asks for this data."""
    kept = dict(LOOP_SETTINGS.get(group, {}))
    for need in needs:
        kept |= NEED_SETTINGS.get(need, {})
    return kept
