"""The plan of a run, checked where it is made."""

from dataclasses import dataclass
from typing import Annotated, Literal

from align_cli.errors import ConfigError

NOT_TRAINING = {"rounds", "reference", "ema_decay", "reference_every", "draw_from", "train_from",
                "extrapolation", "momentum", "restart", "replay", "replay_rounds",
                "checkpoint_every"}  # fmt: skip
"""Settings of the plan that reach the trained weights only through its inputs, or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FullBatch:
    """Training on a round's whole loss at once; `schedule/full_batch.py` says what it means."""

    method: Literal["newton", "lbfgs", "gradient", "closed_form"]
    max_steps: int
    gradient_tolerance: float | None
    """Largest gradient norm that counts as converged; None: all steps are taken."""
    ridge: float
    radius: float | None
    """Of the ball that holds the weights; None: none."""
    floor: float | None = None
    """What a closed form gives an arm in place of probability 0; None: it is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the loop and the trainer read; `plan` says what each choice means."""

    rounds: int
    reference: Literal["initial", "previous", "ema", "every_m"]
    ema_decay: float | None
    """Per round; None unless reference is ema."""
    reference_every: int | None
    """[rounds]; None unless reference is every_m."""
    draw_from: Literal["current", "initial"]
    train_from: Literal["current", "initial", "extragradient"]
    extrapolation: float
    """Past each round's step, as a share of it; 0: off."""
    momentum: Literal["constant", "nesterov"]
    restart: Literal["never", "score_fell"]
    replay: Literal["none", "all", "last_k"]
    replay_rounds: int | None
    """[rounds]; None unless replay is last_k."""
    epochs: int
    learning_rate: float
    curve: Literal["constant", "linear", "cosine"]
    warmup_share: float
    """[share of a round's steps]."""
    batch_size: int
    micro_batch_size: int
    clip_norm: float | None
    weight_decay: float
    adam_beta1: float
    adam_beta2: float
    adam_eps: float
    checkpoint_every: int
    """[steps]."""
    full_batch: FullBatch | None = None
    """None: AdamW on minibatches. Else what is said of epochs, batches and AdamW is idle."""


def plan(
    *,
    rounds: Annotated[int, ">= 1", "rounds"],
    reference: Literal["initial", "previous", "ema", "every_m"],
    draw_from: Literal["current", "initial"],
    train_from: Literal["current", "initial", "extragradient"],
    extrapolation: Annotated[float, ">= 0", "steps"],
    momentum: Literal["constant", "nesterov"],
    restart: Literal["never", "score_fell"],
    replay: Literal["none", "all", "last_k"],
    epochs: Annotated[int, ">= 1", "passes over a round's examples"],
    learning_rate: Annotated[float, "> 0"],
    curve: Literal["constant", "linear", "cosine"],
    warmup_share: Annotated[float, "[0, 1)", "share of a round's steps"],
    batch_size: Annotated[int, ">= 1", "examples"],
    micro_batch_size: Annotated[int, ">= 1", "examples"],
    clip_norm: Annotated[float | None, "> 0"],
    weight_decay: Annotated[float, ">= 0"],
    adam_beta1: Annotated[float, "[0, 1)"],
    adam_beta2: Annotated[float, "[0, 1)"],
    adam_eps: Annotated[float, "> 0"],
    checkpoint_every: Annotated[int, ">= 1", "steps"],
    ema_decay: Annotated[float | None, "(0, 1)", "per round"] = None,
    reference_every: Annotated[int | None, ">= 1", "rounds"] = None,
    replay_rounds: Annotated[int | None, ">= 1", "rounds"] = None,
) -> Plan:
    """A run of `rounds` rounds; every round draws, labels, pairs and trains once.

    Each round trains the policy that the round before left, with a fresh optimiser and the whole
    curve of the learning rate; this is how Online-DPO-R1 (RLHFlow, run_iter_dpo.sh) does it.
    `train_from` and `extrapolation` change which policy that is.

    An example is what the loss trains on: a pair (two completions), or with a loss on groups the
    group of a prompt's siblings (as many completions as were drawn and judged).

    Settings:
        reference: what round k is held to.
            initial   the policy that the run began with
            previous  the policy as it stood when round k began (Online-DPO-R1)
            ema       a moving average: initial at round 0, then after every round
                      reference <- ema_decay reference + (1 - ema_decay) policy
            every_m   as previous, but renewed only every `reference_every` rounds; 1 is previous
        draw_from: whose answers are labelled: current is on-policy; initial is offline.
        train_from: which policy round k trains, whoever draws.
            current   the one that enters round k: that of round k - 1, extrapolated if asked for
            initial   the one that the run began with, every round again
            extragradient  two rounds are one step from theta_t. The even round draws from theta_t
                      and trains it to theta_(t+1/2); the odd round draws from theta_(t+1/2), goes
                      back to theta_t and trains that on the new pairs to theta_(t+1). EGPO
                      (Zhou et al. 2025, arXiv:2503.08942) in a **round-level form, a
                      reconstruction**: the paper's two halves are two gradients of one batch each,
                      and the second restores the optimiser's state too; here each half is a whole
                      round of training, on prompts of its own, with a fresh optimiser. Both halves
                      are scored: after odd rounds it is theta_(t+1). The paper has reference
                      initial and an online IPO loss.
        extrapolation, momentum: a of theta = th_hat + a (th_hat - th_hat_before), weight by
            weight, from the policy th_hat that a round has trained and the one trained the round
            before; 0: off, and momentum and restart are idle. Accelerated APO (He et al. 2024,
            arXiv:2410.06293), **a reconstruction** in its parameter form. theta is what the next
            round draws from, trains and has as `previous`, and what is scored; th_hat stays in
            the run folder, and after/... are numbers of it. Never after the first round.
            constant  a = extrapolation
            nesterov  a = extrapolation n / (n + 3), n rounds after the first or after a restart
        restart: when a falls back to 0 for a round.
            never
            score_fell  when the answers that the policy of this round drew (unaided ones, as
                      judged in training) score less on average than those of the round before
        replay: which earlier rounds' examples are trained on with this round's: none, all, or the
            last `replay_rounds` (last_k); their reference is that of the round that trains.
        epochs: passes over the examples of each round.
        learning_rate: the peak.
        curve, warmup_share: shape of the learning rate over a round's steps, see train/curve.py.
        batch_size: examples per optimiser step, a multiple of micro_batch_size.
        micro_batch_size: examples per forward pass; memory, not mathematics, but for losses whose
            examples look at one another (AOT, KTO): they see those of one pass.
        clip_norm: largest gradient norm; null: not clipped.
        weight_decay, adam_beta1, adam_beta2, adam_eps: AdamW.
        checkpoint_every: a killed run repeats at most this many steps.
    """
    belongs("ema_decay", ema_decay, to="reference=ema", on=reference == "ema")
    belongs("reference_every", reference_every, to="reference=every_m", on=reference == "every_m")
    belongs("replay_rounds", replay_rounds, to="replay=last_k", on=replay == "last_k")
    if batch_size % micro_batch_size:
        raise ConfigError(
            f"schedule.batch_size {batch_size} is not a multiple of schedule.micro_batch_size "
            f"{micro_batch_size}: a batch is made of whole micro-batches; change either"
        )
    made = Plan(
        rounds=rounds,
        reference=reference,
        ema_decay=ema_decay,
        reference_every=reference_every,
        draw_from=draw_from,
        train_from=train_from,
        extrapolation=extrapolation,
        momentum=momentum,
        restart=restart,
        replay=replay,
        replay_rounds=replay_rounds,
        epochs=epochs,
        learning_rate=learning_rate,
        curve=curve,
        warmup_share=warmup_share,
        batch_size=batch_size,
        micro_batch_size=micro_batch_size,
        clip_norm=clip_norm,
        weight_decay=weight_decay,
        adam_beta1=adam_beta1,
        adam_beta2=adam_beta2,
        adam_eps=adam_eps,
        checkpoint_every=checkpoint_every,
    )
    _check_extragradient(made)
    if extrapolation and restart == "score_fell" and draw_from == "initial":
        raise ConfigError(
            "schedule.restart=score_fell watches the answers of the policies that the rounds make, "
            "and with draw_from=initial none of them draws; set restart=never or draw_from=current"
        )
    return made


def _check_extragradient(plan: Plan) -> None:
    """Two rounds are one step: nothing may end, hold or extrapolate between them."""
    if plan.train_from != "extragradient":
        return
    if plan.rounds % 2:
        raise ConfigError(
            f"schedule.rounds {plan.rounds} is odd, and the last round would be half a step of "
            "train_from=extragradient; make it even"
        )
    whole = plan.reference_every is not None and plan.reference_every % 2 == 0
    if plan.reference not in ("initial", "every_m") or (plan.reference == "every_m" and not whole):
        raise ConfigError(
            f"schedule.reference={plan.reference} would hold a round of train_from=extragradient "
            "to half a step; choose initial (EGPO), or every_m with an even reference_every (2 "
            "holds both halves to the policy that the step began with)"
        )
    if plan.extrapolation:
        raise ConfigError(
            f"schedule.extrapolation {plan.extrapolation} and train_from=extragradient are two "
            "ways to look ahead, and their combination is not defined; set one of them to "
            "extrapolation=0 or train_from=current"
        )


def belongs(name: str, value: float | None, *, to: str, on: bool) -> None:
    """A setting that only one choice reads is set with it, and null without it."""
    if on and value is None:
        raise ConfigError(f"schedule.{to} needs schedule.{name}, which is null; give it a value")
    if not on and value is not None:
        raise ConfigError(
            f"schedule.{name} is {value}, but only schedule.{to} reads it; set it to null, or "
            f"choose {to}"
        )
