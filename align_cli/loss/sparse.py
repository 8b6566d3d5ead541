"""SparsePO: each token's reward and leash count as much as a mask lets them."""

from torch import Tensor

from align_cli.batches import PairActivations, PairLoss, PairTokenKLs, PairTokens
from align_cli.loss.outer import logistic
from align_cli.loss.parts import Assembly
from align_cli.loss.settings import Beta
from align_cli.loss.token_masks import MASKS, MaskName, kl_tokens
from align_cli.loss.token_weights import token_log_ratios


def sparse(
    tokens: PairTokens,
    ref_tokens: PairTokens,
    token_kls: PairTokenKLs,
    ref_activations: PairActivations,
    *,
    beta: Beta,
    reward_mask: MaskName,
    kl_mask: MaskName,
) -> PairLoss:
    """TDPO in which a mask says which tokens are preferred, and which are held to the reference.

        u    = sum_t m_t log(policy / reference) of token t                       [nats]
        k    = sum_t n_t KL(reference || policy) of the distribution of token t   [nats]
        z    = beta (u_chosen - u_rejected + k_chosen - k_rejected)
        loss = -log sigmoid(z)                    m: reward_mask, n: kl_mask

        mask         m_t
        all          1; with both masks at it this is TDPO1
        activations  the reference's activation at the token, rescaled to [0, 1] in each answer

    The same choice for both is the source's common mask, different choices are independent ones.
    A side's reward is beta (u + k). The masks are given, not learned: the source's L1 penalty has
    no gradient on them and is left out.

    Settings:
        beta: inverse temperature of the leash.
        reward_mask: m, over the log-ratios.
        kl_mask: n, over the KLs.

    Source: Christopoulou et al. 2024, arXiv:2410.05102 (MaPO), and its authors' code.
    """
    parts = Assembly()
    over_reward = parts.part("reward_mask", reward_mask, MASKS)
    over_kl = parts.part("kl_mask", kl_mask, MASKS)
    rows = zip(
        token_log_ratios(tokens, ref_tokens),
        kl_tokens(tokens, token_kls),
        (tokens.chosen_mask_BT, tokens.rejected_mask_BT),
        (ref_activations.chosen_BTL, ref_activations.rejected_BTL),
        strict=True,
    )
    rewards: list[Tensor] = [
        beta * (over_reward(mask, active) * ratio + over_kl(mask, active) * kl).sum(-1)
        for ratio, kl, mask, active in rows
    ]
    loss_B = logistic(rewards[0] - rewards[1])
    return PairLoss(loss_B, rewards[0].detach(), rewards[1].detach())
