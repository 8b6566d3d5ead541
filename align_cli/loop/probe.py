"""One call of the loss on two pairs: values that only a call can refuse are refused up front."""

import torch

from align_cli.batches import PairLabels, PairLogps, PairLoss
from align_cli.errors import ConfigError
from align_cli.loop.context import Part


def probe_loss(loss: Part) -> None:
    """Raise ConfigError unless the loss gives one finite value per pair at the reference."""
    logps = PairLogps(
        torch.tensor([-10.0, -20.0]),
        torch.tensor([-12.0, -18.0]),
        torch.tensor([5, 9]),
        torch.tensor([6, 8]),
    )
    labels = PairLabels(torch.ones(2), torch.ones(2), torch.zeros(2))
    out = loss(pairs=logps, ref_pairs=logps, start_pairs=logps, pair_labels=labels)
    if not isinstance(out, PairLoss) or out.loss_B.shape != (2,):
        raise ConfigError(f"loss {loss.target} must return a PairLoss with one value per pair")
    if not bool(out.loss_B.isfinite().all()):
        raise ConfigError(
            f"loss {loss.target} is {out.loss_B.tolist()} where policy and reference agree; "
            f"check its settings {dict(loss.settings)}"
        )
