"""Imitation of the chosen answers alone: the floor any preference loss is compared with."""

from align_cli.batches import PairLogps, PairLoss
from align_cli.loss.reduction import REDUCTIONS, ReductionName, log_probs


def sft(pairs: PairLogps, *, reduction: ReductionName) -> PairLoss:
    """Raise the chosen answer; the rejected one is only watched.

        loss = -reduction(log policy(chosen))      [nats] or [nats/token]

    Settings:
        reduction: sum weighs every token alike, per_token every answer.
    """
    chosen_B, rejected_B = log_probs(pairs, REDUCTIONS[reduction])
    return PairLoss(-chosen_B, chosen_B.detach(), rejected_B.detach())
