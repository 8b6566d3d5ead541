"""What tests of training share: a plan with every setting given, and a training that may die."""

from typing import Any

from align_cli.schedule.plan import Plan
from align_cli.train.steps import train

PLAN = Plan(
    rounds=1, reference="previous", ema_decay=None, reference_every=None, draw_from="current",
    train_from="current", extrapolation=0.0, momentum="constant", restart="never", replay="none",
    replay_rounds=None, epochs=2, learning_rate=1e-3, curve="linear",
    warmup_share=0.0, batch_size=4, micro_batch_size=4, clip_norm=1.0, weight_decay=0.0,
    adam_beta1=0.9, adam_beta2=0.999, adam_eps=1e-8, checkpoint_every=2,
)  # fmt: skip


def trained(model: Any, task: Any, work: Any, *, stop_after: int | None = None) -> dict[int, Any]:
    """Steps' metrics; `stop_after` dies after that step, as a killed process would."""
    seen: dict[int, Any] = {}

    def on_step(step: int, metrics: Any) -> None:
        seen[step] = dict(metrics)
        if stop_after is not None and step >= stop_after:
            raise KeyboardInterrupt

    train(model, task, work=work, on_start=lambda done, total: None, on_step=on_step)
    return seen


def weights(model: Any) -> dict[str, Any]:
    """A copy of every parameter, by name."""
    return {name: p.detach().clone() for name, p in model.network.named_parameters()}
