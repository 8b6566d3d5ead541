"""Suffix DPO in which a pair is believed as far as the search that found it."""

from typing import Literal

from torch import Tensor

from align_cli.batches import PairLabels, PairLoss, PairTokens
from align_cli.errors import RowError
from align_cli.loss.outer import logistic
from align_cli.loss.reduction import wide
from align_cli.loss.settings import Beta
from align_cli.loss.token_weights import suffix, token_log_ratios


def confidence(
    tokens: PairTokens,
    ref_tokens: PairTokens,
    pair_labels: PairLabels,
    *,
    beta: Beta,
    believe: Literal["scores", "visits"] = "scores",
) -> PairLoss:
    """DPO on the diverging suffix, its labels smoothed by what a search found of the two sides.

        l     = sum of log(policy / reference) from the first token that differs     [nats]
        z     = beta (l_chosen - l_rejected)
        conf  = 1 / (1 + q_rejected / max(1, q_chosen)),  e = min(1 - conf, 1/2)
        loss  = -(1 - e) log sigmoid(z) - e log sigmoid(-z)

    A rejected side of q = 0 gives e = 0, which is DPO; one of as high a q as a chosen side of at
    least 1 gives e = 1/2, which holds the pair where it is.

    Settings:
        beta: inverse temperature of the leash.
        believe: what q is. scores: the judge's, or of steps their values; at least 0. visits: how
            many judged answers a search took through each step, for pairing=sibling_steps alone.

    Source: Xie et al. 2024, arXiv:2405.00451 (MCTS-DPO), formula of its authors' code; that q is a
    visit count is a **reconstruction**.
    """
    chosen_BT, rejected_BT = token_log_ratios(tokens, ref_tokens)
    chosen_reward_B = beta * _suffix_sum(chosen_BT, tokens.chosen_mask_BT, tokens)
    rejected_reward_B = beta * _suffix_sum(rejected_BT, tokens.rejected_mask_BT, tokens)
    margin_B = chosen_reward_B - rejected_reward_B
    doubt_B = doubt(pair_labels, believe).to(margin_B.dtype)
    loss_B = (1 - doubt_B) * logistic(margin_B) + doubt_B * logistic(-margin_B)
    return PairLoss(loss_B, chosen_reward_B.detach(), rejected_reward_B.detach())


def doubt(pair_labels: PairLabels, believe: str = "scores") -> Tensor:
    """[B] e = min(1 - conf, 1/2) of each pair."""
    found = (pair_labels.chosen_score_B, pair_labels.rejected_score_B)
    if believe == "visits":
        visits = (pair_labels.chosen_visits_B, pair_labels.rejected_visits_B)
        if visits[0] is None or visits[1] is None:
            raise RowError(
                "loss.believe=visits: the pairs are of whole answers, which no search has visited; "
                "use sampler=tree pairing=sibling_steps, or loss.believe=scores"
            )
        found = (visits[0], visits[1])
    chosen_B, rejected_B = map(wide, found)
    if bool(((chosen_B < 0) | (rejected_B < 0)).any()):
        bad_B = ((chosen_B < 0) | (rejected_B < 0)).tolist()
        raise RowError(
            f"loss: pairs {[place for place, bad in enumerate(bad_B) if bad]} of the batch have a "
            "score below 0; the confidence of a pair is a ratio of scores such as visit counts. "
            "Choose a verifier whose scores are 0 or more, or loss=suffix_dpo"
        )
    odds_B = rejected_B / chosen_B.clamp(min=1)
    return (odds_B / (1 + odds_B)).clamp(max=0.5)


def _suffix_sum(ratio_BT: Tensor, mask_BT: Tensor, tokens: PairTokens) -> Tensor:
    return (suffix(ratio_BT, mask_BT, tokens) * ratio_BT).sum(-1)
