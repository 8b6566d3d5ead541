"""Whether a pair is as hard as is asked for: how far the policy ranks it the wrong way."""

from align_cli.rows import Completion


def difficulty(
    chosen: Completion, rejected: Completion, least: float | None, most: float | None
) -> str | None:
    """The reason against a pair whose c = rl - rw [nats] is outside [least, most].

    rw and rl are log p(chosen | prompt) and log p(rejected | prompt) under the policy that drew
    them. DPO turns the ranking round once its log-ratio margin exceeds c.
    """
    if least is None and most is None:
        return None
    rw, rl = _prompt_logp(chosen), _prompt_logp(rejected)
    if rw is None or rl is None:
        return "unknown_difficulty"
    inside = (least is None or rl - rw >= least) and (most is None or rl - rw <= most)
    return None if inside else "difficulty"


def _prompt_logp(one: Completion) -> float | None:
    """Log-prob under the original prompt [nats]; a correction was drawn from another one."""
    return sum(one.logps) if one.messages is None and one.corrects is None else one.prompt_logp
