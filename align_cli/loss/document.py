"""The page docs/losses.md, made from the code: python -m align_cli.loss.document > FILE."""

import math
from typing import Any

import torch
from torch import Tensor

from align_cli.batches import (
    GroupLabels,
    GroupLogps,
    PairActivations,
    PairLabels,
    PairLogps,
    PairTokenKLs,
    PairTokenMasks,
    PairTokens,
)
from align_cli.config.build import Component, bind
from align_cli.config.catalogue import Choice, choices
from align_cli.config.compose import composed_node
from align_cli.loss.divergences import DIVERGENCES, properties

HEAD = """\
# Losses

Every loss is a function of what it asks for, of: `pairs` (policy), `ref_pairs` (reference) and
`pair_labels` (scores); token by token, `tokens`, `ref_tokens`, `token_kls` (the whole vocabulary's
KL at every token), `ref_activations` and `token_masks` (learned beside the policy); and `fresh`,
`ref_fresh`, log-probs of answers drawn from the policy as it trains. Losses on all of a prompt's
answers together, which choose pairing=siblings or all_siblings by themselves, ask for `groups`,
`ref_groups`, `group_labels` and `mismatch_logratio_G`. What the loss does not ask for is not
computed. `align explain loss=NAME` prints its settings with ranges and units. This page is made by
`python -m align_cli.loss.document > docs/losses.md`.

Letters: `lw`, `ll` are log-probs of the chosen and the rejected answer under the policy, summed
over tokens [nats]; `rw`, `rl` the reference's; `pw`, `pl` those of the policy that entered the
round; `uw = lw - rw`, `ul = ll - rl`; `nw`, `nl` tokens; `d` the score difference. `detach` passes
no gradient, `sort` and `batch_mean` are over the batch, `clip(x, c)` holds x between -c and c,
`odds(l) = l - log(1 - exp(l))`, and `madpo_weight` is q of `loss=madpo`. Of single tokens: `t` is
the place from 0, `uwt`, `ult` the log-ratios, `kwt`, `klt` the KLs(reference || policy), `aw`, `al`
the reference's activations, `mw`, `ml` masks of rewards and `vw`, `vl` of KLs, `shared` the number
of tokens both answers begin with, `sum` over an answer's
tokens; `qw`, `ql` are the scores of both sides. Of fresh answers: `lf`, `rf` are log-probs under
policy and reference, `mean` is over a prompt's answers, `others(r)` the mean of the other answers'
`r`. Other names are settings.

Of groups: `l`, `r`, `u = l - r`, `n`, `s` are log-probs under policy and reference, log-ratio,
tokens and score of every sibling, `right` its verdict, `size` how many there are; `mean` and `sum`
run over the siblings. `gap(x)` is the table of `x_i - x_j`, `rows` sums it over j, `mean_pairs`
averages it over i > j. `policy_rank` and `score_rank` count from 1, the best; `best_mean` averages
over the highest score; `bounded` is the nearest v >= -1 of mean 0, and `tangent_exp` is exp up to
its clip. Over the batch: `batch_mean`, `right_u` and `wrong_u`, log-ratios of right, wrong answers,
and `mismatch`, of an answer to another prompt.

A loss is put together from parts, and each part is a setting: link (log-ratio to score), reduction
(per sequence or token), offset, outer function, labels, weight, regulariser. So
`loss=simpo loss.outer=hinge` or `loss=dpo loss.link=jensen_shannon` are losses too. A setting that
no chosen part reads is refused.
"""
PRESETS = """
## Presets

`loss` is at the yaml's parts. `at start` is its value where policy and reference agree, and
`pull` the signs of its gradients there, of chosen and rejected (-: the answer is raised, +: it is
lowered), for two answers of 20 tokens with log-prob -10 and a score difference of 1: a pair, or a
group of a right and a wrong answer.

| loss | what for | formula | asks for | at start | pull | source |
|---|---|---|---|---|---|---|
"""
LINKS = """
## Links

`loss.link=user loss.f_target=PACKAGE.MODULE.FUNCTION plugins=[PACKAGE]` takes an f of your own, a
torch function of t > 0; `align check` then shows its two properties.

Of the divergence D_f = E_reference[f(policy / reference)]. DPO-inducing: f'(t) falls without end
as t goes to 0. Displacement-resistant, as a necessary condition: f is least at 1 or above. Both
are computed from f; the second belongs to this f, not to the loss alone, since adding c (t-1) to
f moves its minimum and changes no preference. Source: Pipano et al. 2026, arXiv:2602.06788.

| link | f(t) | DPO-inducing | argmin f | can resist displacement |
|---|---|---|---|---|
"""


def document() -> str:
    """The page."""
    rows = [_preset(choice) for choice in choices("loss")]
    return HEAD + PRESETS + "\n".join(rows) + "\n" + LINKS + "\n".join(_links()) + "\n"


def _preset(choice: Choice) -> str:
    node = composed_node("loss", choice.name, ())
    binding = bind(node, group="loss", choice=choice.name)
    component = binding.load()
    value, pull = (group_at_start if "groups" in component.needs else at_start)(component)
    asks = ", ".join(binding.signature.needs)
    cells = (
        f"`{choice.name}`", choice.summary, f"`{choice.formula}`", asks, f"{value:.4g}", pull,
        choice.source,
    )  # fmt: skip
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def at_start(loss: Component) -> tuple[float, str]:
    """Value and signs of the gradient of a loss where policy and reference agree."""
    sides = torch.full((2, 1), -10.0, dtype=torch.float64, requires_grad=True)
    length_B = torch.tensor([20])
    pairs = PairLogps(sides[0], sides[1], length_B, length_B)
    reference = PairLogps(sides[0].detach(), sides[1].detach(), length_B, length_B)
    labels = PairLabels(*torch.tensor([[1.0], [1.0], [0.0]], dtype=torch.float64))
    offered = {"ref_pairs": reference, "start_pairs": reference, "pair_labels": labels}
    loss_B = loss(pairs=pairs, **offered, **_by_token(sides), **_fresh()).loss_B
    (gradient,) = torch.autograd.grad(loss_B.sum(), sides)
    return float(loss_B.detach()), _signs(gradient[:, 0])


def group_at_start(loss: Component) -> tuple[float, str]:
    """The same of a loss on groups, for a group of two."""
    logp_C = torch.full((2,), -10.0, dtype=torch.float64, requires_grad=True)
    length_C, group_C = torch.tensor([20, 20]), torch.tensor([0, 0])
    score_C = torch.tensor([1.0, 0.0], dtype=torch.float64)
    loss_G = loss(
        groups=GroupLogps(logp_C, length_C, group_C, 1),
        ref_groups=GroupLogps(logp_C.detach(), length_C, group_C, 1),
        group_labels=GroupLabels(score_C, score_C > 0),
        mismatch_logratio_G=torch.zeros(1, dtype=torch.float64),
    ).loss_G
    (gradient,) = torch.autograd.grad(loss_G.sum(), logp_C)
    return float(loss_G.detach()), _signs(gradient)


def _signs(slopes: torch.Tensor) -> str:
    return " ".join(_sign(slope) for slope in slopes.tolist())


def _by_token(sides: Tensor) -> dict[str, Any]:
    """The same two answers of 20 tokens, all alike but for the reference's activation."""
    each = (sides / 20).unsqueeze(-1).expand(2, 1, 20)
    mask_BT = torch.ones(1, 20, dtype=torch.bool)
    none_shared_B = torch.zeros(1, dtype=torch.int64)
    nothing_BT = torch.zeros(1, 20, dtype=torch.float64)
    active_BTL = torch.arange(20, dtype=torch.float64).reshape(1, 20, 1)
    return {
        "tokens": PairTokens(each[0], each[1], mask_BT, mask_BT, none_shared_B),
        "ref_tokens": PairTokens(
            each[0].detach(), each[1].detach(), mask_BT, mask_BT, none_shared_B
        ),
        "token_kls": PairTokenKLs(nothing_BT, nothing_BT),
        "ref_activations": PairActivations(active_BTL, active_BTL),
        "token_masks": PairTokenMasks(*[torch.ones(1, 20, dtype=torch.float64)] * 4),
    }


def _fresh() -> dict[str, Any]:
    """Two fresh answers of 20 tokens that the reference finds as likely as the policy does."""
    logp_C, length_C = torch.full((2,), -10.0, dtype=torch.float64), torch.tensor([20, 20])
    fresh = GroupLogps(logp_C, length_C, torch.tensor([0, 0]), 1)
    return {"fresh": fresh, "ref_fresh": fresh}


def _sign(slope: float) -> str:
    return "0" if abs(slope) < 1e-12 else "+" if slope > 0 else "-"


def _links() -> list[str]:
    rows = []
    for name, f in DIVERGENCES.items():
        found = properties(f)
        least = "none" if math.isinf(found.argmin) else f"{found.argmin:.4f}"
        formula = (f.__doc__ or "").rstrip(".")
        words = [
            "yes" if each else "no" for each in (found.dpo_inducing, found.displacement_resistant)
        ]
        rows.append(f"| `{name}` | `{formula}` | {words[0]} | {least} | {words[1]} |")
    return rows


if __name__ == "__main__":
    print(document(), end="")
