"""Plans whose rounds train on the whole of the round's loss at once: no minibatches, no AdamW."""

import sys
from typing import Annotated, Any, Literal

from align_cli.errors import ConfigError
from align_cli.schedule.plan import FullBatch, Plan, belongs


def to_convergence(
    *,
    rounds: Annotated[int, ">= 1", "rounds"],
    reference: Literal["initial", "previous", "ema", "every_m"],
    draw_from: Literal["current", "initial"],
    train_from: Literal["current", "initial"],
    replay: Literal["none", "all", "last_k"],
    method: Literal["newton", "lbfgs"],
    gradient_tolerance: Annotated[float, "> 0"],
    max_steps: Annotated[int, ">= 1", "steps"],
    ridge: Annotated[float, ">= 0"],
    radius: Annotated[float | None, "> 0"],
    micro_batch_size: Annotated[int | None, ">= 1", "examples"],
    ema_decay: Annotated[float | None, "(0, 1)", "per round"] = None,
    reference_every: Annotated[int | None, ">= 1", "rounds"] = None,
    replay_rounds: Annotated[int | None, ">= 1", "rounds"] = None,
) -> Plan:
    """Every round minimises its loss to convergence, certified by the gradient's norm.

        minimise over weights w   mean over the round's examples of loss(w) + ridge/2 |w|^2
        such that                 |w| <= radius

    With loss=dpo on a linear softmax this is DPO by maximum likelihood (logistic regression), with
    loss=reward_distillation least squares, and it is the same of any loss. A round that does not
    reach the tolerance is an error, never a result. A killed round trains again from its start.
    Losses that draw answers as they train (fresh samples) have no fixed objective and are refused.

    newton solves with the whole matrix of second derivatives: a few steps, for policies of bandits
    with up to a few thousand weights; where a loss is not convex, curvature counts by its size, so
    that steps still descend. lbfgs (Liu and Nocedal 1989; strong Wolfe line search) keeps no
    matrix and fits any policy, but in float32 do not ask for more than about 1e-4. A radius is
    kept by raising the ridge to the multiplier of the constraint.

    Settings:
        rounds, reference, draw_from, train_from, replay, ema_decay, reference_every,
            replay_rounds: as in schedule=iterative.
        method: newton | lbfgs.
        gradient_tolerance: largest norm of the gradient of all that is minimised.
        max_steps: of a round, over all ridges tried.
        ridge: holds directions that no example shows at 0; keep it far below statistical error.
        radius: of the ball; null: labels that all agree may drive the weights far.
        micro_batch_size: examples per forward pass; memory, not mathematics, but for losses whose
            examples look at one another, which want null: all in one.
    """
    if radius is not None and method != "newton":
        raise ConfigError(
            f"schedule.radius {radius} is kept by schedule.method=newton only, and the method is "
            f"{method}; set radius=null, or method=newton"
        )
    return _plan(
        FullBatch(
            method=method,
            max_steps=max_steps,
            gradient_tolerance=gradient_tolerance,
            ridge=ridge,
            radius=radius,
        ),
        rounds=rounds,
        reference=reference,
        draw_from=draw_from,
        train_from=train_from,
        replay=replay,
        ema_decay=ema_decay,
        reference_every=reference_every,
        replay_rounds=replay_rounds,
        learning_rate=1.0,
        micro_batch_size=micro_batch_size,
    )


def gradient_steps(
    *,
    rounds: Annotated[int, ">= 1", "rounds"],
    reference: Literal["initial", "previous", "ema", "every_m"],
    draw_from: Literal["current", "initial"],
    train_from: Literal["current", "initial"],
    replay: Literal["none", "all", "last_k"],
    steps: Annotated[int, ">= 1", "steps"],
    learning_rate: Annotated[float, "> 0"],
    micro_batch_size: Annotated[int | None, ">= 1", "examples"],
    ema_decay: Annotated[float | None, "(0, 1)", "per round"] = None,
    reference_every: Annotated[int | None, ">= 1", "rounds"] = None,
    replay_rounds: Annotated[int | None, ">= 1", "rounds"] = None,
) -> Plan:
    """Every round takes plain gradient steps on the mean loss of all its examples.

        w <- w - learning_rate * gradient of (mean over the round's examples of loss)

    No momentum, no clipping, a constant rate: the update that rates of convergence are proved of.
    A killed round trains again from its start.

    Settings:
        rounds, reference, draw_from, train_from, replay, ema_decay, reference_every,
            replay_rounds: as in schedule=iterative.
        steps: of a round.
        learning_rate: of every step.
        micro_batch_size: examples per forward pass; null: all in one.
    """
    return _plan(
        FullBatch(
            method="gradient", max_steps=steps, gradient_tolerance=None, ridge=0.0, radius=None
        ),
        rounds=rounds,
        reference=reference,
        draw_from=draw_from,
        train_from=train_from,
        replay=replay,
        ema_decay=ema_decay,
        reference_every=reference_every,
        replay_rounds=replay_rounds,
        learning_rate=learning_rate,
        micro_batch_size=micro_batch_size,
    )


def closed_form(
    *,
    rounds: Annotated[int, ">= 1", "rounds"],
    reference: Literal["initial", "previous", "ema", "every_m"],
    floor: Annotated[float | None, "(0, 1)", "probability"],
    gradient_tolerance: Annotated[float, "> 0"],
    ema_decay: Annotated[float | None, "(0, 1)", "per round"] = None,
    reference_every: Annotated[int | None, ">= 1", "rounds"] = None,
) -> Plan:
    """Every round puts a tabular policy where its loss is least, by the loss's own closed form.

        log policy(y | x) = log reference(y | x) + log(1 + v*(x, y))

    v* is the loss's: loss=opo_ratio or gopo with share=reference (v* = g / mu) and
    coordinate=bounded_ratio (the bounded projection). Nothing is iterated, and the gradient of the
    loss as the trainer computes it must vanish there. With reference=previous the rounds are the
    iteration of Wang 2026, arXiv:2601.12415: the anchor is frozen anew, and one step is taken.

    Wants policy=tabular and groups of all arms of all contexts: sampler=every_arm,
    pairing=siblings, which experiment=bandit_opo sets. A loss without a closed form (the log
    surrogate, loss.coordinate=log_ratio) is minimised by schedule=to_convergence.

    Settings:
        rounds, reference, ema_decay, reference_every: as in schedule=iterative.
        floor: probability of an arm that the bounded projection cuts to 0; null: refused, the arm
            named, since no later ratio to it is a number.
        gradient_tolerance: largest norm of the gradient.
    """
    full = FullBatch(
        method="closed_form",
        max_steps=1,
        gradient_tolerance=gradient_tolerance,
        ridge=0.0,
        radius=None,
        floor=floor,
    )
    return _plan(
        full,
        rounds=rounds,
        reference=reference,
        draw_from="current",
        train_from="current",
        replay="none",
        replay_rounds=None,
        ema_decay=ema_decay,
        reference_every=reference_every,
        learning_rate=1.0,
        micro_batch_size=None,
    )


def _plan(full_batch: FullBatch, *, micro_batch_size: int | None, **given: Any) -> Plan:
    """The plan of the rounds; what AdamW and minibatches would read is idle."""
    belongs("ema_decay", given["ema_decay"], to="reference=ema", on=given["reference"] == "ema")
    belongs(
        "reference_every",
        given["reference_every"],
        to="reference=every_m",
        on=given["reference"] == "every_m",
    )
    belongs(
        "replay_rounds", given["replay_rounds"], to="replay=last_k", on=given["replay"] == "last_k"
    )
    return Plan(
        **given,
        extrapolation=0.0,
        momentum="constant",
        restart="never",
        epochs=1,
        curve="constant",
        warmup_share=0.0,
        batch_size=sys.maxsize,
        micro_batch_size=sys.maxsize if micro_batch_size is None else micro_batch_size,
        clip_norm=None,
        weight_decay=0.0,
        adam_beta1=0.0,
        adam_beta2=0.0,
        adam_eps=1.0,
        checkpoint_every=sys.maxsize,
        full_batch=full_batch,
    )
