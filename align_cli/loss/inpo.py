"""INPO: a regression that holds the policy to the reference and to where the round began."""

from align_cli.batches import PairLogps, PairLoss
from align_cli.errors import ConfigError
from align_cli.loss.reduction import log_ratios, of_sum
from align_cli.loss.settings import Beta


def inpo(
    pairs: PairLogps,
    ref_pairs: PairLogps,
    start_pairs: PairLogps,
    *,
    eta: Beta,
    tau: Beta,
) -> PairLoss:
    """One step of mirror descent towards the Nash policy of the judge, as a regression on pairs.

        s    = log policy - (tau/eta) log reference - ((eta-tau)/eta) log start      of an answer
        loss = (s_chosen - s_rejected - 1 / (2 eta))^2                               [nats^2]

    `start` is the policy that entered the round. With tau = eta, or where it is the reference,
    this is IPO on whole answers. schedule.reference=initial is the paper's.

    Settings:
        eta: of both leashes together; 1 / (2 eta) is how far apart a pair comes to rest.
        tau: of that to the reference, at most eta; what is left of eta leads back to the start.

    Source: Zhang et al. 2024, arXiv:2407.00617.
    """
    if tau > eta:
        raise ConfigError(
            f"loss.tau: got {tau}, wanted at most loss.eta, which is {eta}: tau is the part of eta "
            "that leads to the reference"
        )
    ref_chosen_B, ref_rejected_B = log_ratios(pairs, ref_pairs, of_sum)
    start_chosen_B, start_rejected_B = log_ratios(pairs, start_pairs, of_sum)
    # eta s = tau log(policy / reference) + (eta - tau) log(policy / start)
    chosen_reward_B = tau * ref_chosen_B + (eta - tau) * start_chosen_B
    rejected_reward_B = tau * ref_rejected_B + (eta - tau) * start_rejected_B
    loss_B = ((chosen_reward_B - rejected_reward_B - 0.5) / eta) ** 2
    return PairLoss(loss_B, chosen_reward_B.detach(), rejected_reward_B.detach())
