"""SparsePO with learned masks: which tokens count is trained along with the policy."""

from typing import Annotated, Literal

from torch import Tensor

from align_cli.batches import PairLoss, PairTokenKLs, PairTokenMasks, PairTokens
from align_cli.loss.outer import logistic
from align_cli.loss.reduction import wide
from align_cli.loss.settings import Beta
from align_cli.loss.token_masks import kl_tokens
from align_cli.loss.token_weights import token_log_ratios


def learned_masks(
    tokens: PairTokens,
    ref_tokens: PairTokens,
    token_kls: PairTokenKLs,
    token_masks: PairTokenMasks,
    *,
    beta: Beta,
    masks: Literal["common", "independent"],
    reward_sparsity: Annotated[float, ">= 0", "1/token"],
    kl_sparsity: Annotated[float, ">= 0", "1/token"],
) -> PairLoss:
    """TDPO under masks that learn which tokens are preferred, and which held to the reference.

        u    = sum_t m_t log(policy / reference) of token t                       [nats]
        k    = sum_t n_t KL(reference || policy) of the distribution of token t   [nats]
        z    = beta (u_chosen - u_rejected + k_chosen - k_rejected)
        loss = -log sigmoid(z) + a sum_t m_t + b sum_t n_t        sums over both answers

    m and n are at least 0, given by two small modules that read every layer of the reference and
    are trained at the policy's learning rate and saved with it. With masks=common n is m, and a
    and b are halved. A side's reward is beta (u + k).

    Settings:
        beta: inverse temperature of the leash.
        masks: common | independent.
        reward_sparsity: a, the L1 price of m; above 0 it empties the mask of what does not help.
        kl_sparsity: b, that of n.

    Source: Christopoulou et al. 2024, arXiv:2410.05102 (SparsePO), and its authors' code, which
    also drops out a tenth of the masks; here nothing is dropped: **reconstruction**.
    """
    chosen_BT, rejected_BT = token_log_ratios(tokens, ref_tokens)
    chosen_kl_BT, rejected_kl_BT = kl_tokens(tokens, token_kls)
    inside = (tokens.chosen_mask_BT, tokens.rejected_mask_BT)
    given = [(token_masks.chosen_reward_BT, token_masks.rejected_reward_BT)] * 2
    if masks == "independent":
        given[1] = (token_masks.chosen_kl_BT, token_masks.rejected_kl_BT)
    half = 0.5 if masks == "common" else 1.0
    (chosen_m_BT, rejected_m_BT), (chosen_n_BT, rejected_n_BT) = (
        [wide(one).masked_fill(~mask, 0.0) for one, mask in zip(pair, inside, strict=True)]
        for pair in given
    )
    chosen_reward_B = beta * (chosen_m_BT * chosen_BT + chosen_n_BT * chosen_kl_BT).sum(-1)
    rejected_reward_B = beta * (rejected_m_BT * rejected_BT + rejected_n_BT * rejected_kl_BT).sum(
        -1
    )
    price_B: Tensor = half * reward_sparsity * (chosen_m_BT.sum(-1) + rejected_m_BT.sum(-1))
    price_B = price_B + half * kl_sparsity * (chosen_n_BT.sum(-1) + rejected_n_BT.sum(-1))
    loss_B = logistic(chosen_reward_B - rejected_reward_B) + price_B
    return PairLoss(loss_B, chosen_reward_B.detach(), rejected_reward_B.detach())
