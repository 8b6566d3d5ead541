"""The f-divergence family of preference losses: DPO, SquaredPO and whatever else is one link."""

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from align_cli.batches import PairLogps, PairLoss
from align_cli.errors import ConfigError
from align_cli.loss.links import LINKS


def f_divergence(
    pairs: PairLogps,
    ref_pairs: PairLogps,
    *,
    beta: Annotated[float, "> 0", "1/nat"],
    link: Literal["reverse_kl", "squared"],
    label_smoothing: Annotated[float, "[0, 0.5)", "share of pairs"] = 0.0,
    exponent_clip: Annotated[float | None, "(0, 80]", "nats"] = None,
) -> PairLoss:
    """Make the chosen answer's implicit reward exceed the rejected one's, as a logistic choice.

        l      = log(policy / reference) of an answer, summed over its tokens            [nats]
        margin = beta (s(l_chosen) - s(l_rejected))
        loss   = -(1 - e) log sigmoid(margin) - e log sigmoid(-margin)

        link        f(t)            s(l) = f'(exp l)   ds/dl          known as
        reverse_kl  t log t         l                  1              DPO
        squared     (log t)^2 / 2   l exp(-l)          (1-l) exp(-l)  SquaredPO

    At policy == reference the loss is log 2 and, both slopes being 1, every link's gradient is
    DPO's: -beta (1/2 - e) on the chosen side, the opposite on the rejected one.

    squared: the reward of no answer exceeds beta/e, reached at l = 1; beyond, a chosen answer is
    pulled back. Below, the slope grows like exp(-l): a chosen answer that falls is held strongly,
    and a rejected one has done its work within a few nats. A clipped gradient norm is advised.

    Settings:
        beta: inverse temperature of the leash; larger keeps the policy nearer the reference.
        link: the divergence that the leash is measured in; see above.
        label_smoothing: e, the share of pairs assumed mislabelled; 0 switches it off.
        exponent_clip: squared only: s(l) = l exp(min(-l, clip)), so that below l = -clip the slope
            stays exp(clip); null leaves the formula exact, and float32 overflows near l = -84.

    Source: general loss Wang et al. 2023, arXiv:2309.16240; reverse_kl Rafailov et al. 2023,
    arXiv:2305.18290, eq. 7; label smoothing as cDPO (Mitchell 2023); squared Pipano et al. 2026,
    arXiv:2602.06788, at whole-sequence probabilities. **Reconstruction** for squared: formula and
    clip at 50 are known from notes on the paper; that only the upper side is clipped, and that the
    1/r factor is differentiated, are inferred.
    """
    divergence = LINKS[link]
    if exponent_clip is not None and not divergence.has_exponential:
        clipped = sorted(name for name, one in LINKS.items() if one.has_exponential)
        raise ConfigError(
            f"loss.exponent_clip is {exponent_clip}, but link={link} has no exponent to clip; set "
            f"it to null, or choose link from {clipped}"
        )
    chosen_ratio_B = _log_ratio(pairs.chosen_B, ref_pairs.chosen_B)
    rejected_ratio_B = _log_ratio(pairs.rejected_B, ref_pairs.rejected_B)
    chosen_reward_B = beta * divergence.score(chosen_ratio_B, exponent_clip)
    rejected_reward_B = beta * divergence.score(rejected_ratio_B, exponent_clip)
    margin_B = chosen_reward_B - rejected_reward_B
    loss_B = -(1 - label_smoothing) * logsigmoid(margin_B)
    if label_smoothing:
        loss_B = loss_B - label_smoothing * logsigmoid(-margin_B)
    return PairLoss(loss_B, chosen_reward_B.detach(), rejected_reward_B.detach())


def _log_ratio(policy_B: Tensor, reference_B: Tensor) -> Tensor:
    """log(policy / reference) in float32 or wider; the reference gets no gradient."""
    # A bfloat16 log-prob of a long answer is whole nats from its neighbour: do not subtract there.
    dtype = torch.promote_types(policy_B.dtype, torch.float32)
    return policy_B.to(dtype) - reference_B.detach().to(dtype)
