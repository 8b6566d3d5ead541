"""The quality gate: whether a correction may become one side of a pair."""

from align_cli.errors import RowError
from align_cli.rows import Completion, Gate, Judged


def gate_failure(gate: Gate, judged: Judged, failed: Judged) -> str | None:
    """Name of the first check that a correction fails, in this order; None if it passes them all.

        not_judged     the verifier has no score for it
        not_right      gate.right, and the verifier does not accept it
        not_stopped    gate.stops, and it was cut at the token limit
        answer_marker  gate.answer_marker does not occur exactly once in its text
        leak           one of gate.leak_phrases occurs in its text, letter case ignored
        too_short      length < gate.min_length_ratio x length of the failed attempt    [tokens]
        too_long       length > gate.max_length_ratio x length of the failed attempt    [tokens]
        low_logp       mean log-prob per token under the original prompt < gate.min_mean_logp

    `failed` is the attempt that was corrected. Source: the quality gating of PACE (Rao et al. 2026,
    arXiv:2602.05370); reconstruction, since its checks could not be read.
    """
    correction = judged.completion
    if correction.prompt_id != failed.completion.prompt_id or (
        correction.corrects != failed.completion.index
    ):
        raise RowError(
            f"gate: completion {correction.prompt_id}/{correction.index} corrects attempt "
            f"{correction.corrects}, not {failed.completion.prompt_id}/{failed.completion.index}"
        )
    if judged.label.score is None:
        return "not_judged"
    if gate.right and judged.label.right is not True:
        return "not_right"
    if gate.stops and correction.finish != "stop":
        return "not_stopped"
    if (fault := _text_failure(gate, correction.text)) is not None:
        return fault
    if (fault := _length_failure(gate, correction, failed.completion)) is not None:
        return fault
    # Not `<`: a NaN must not pass.
    if gate.min_mean_logp is not None and not _mean_logp(correction) >= gate.min_mean_logp:
        return "low_logp"
    return None


def _text_failure(gate: Gate, text: str) -> str | None:
    if gate.answer_marker is not None and text.count(gate.answer_marker) != 1:
        return "answer_marker"
    folded = text.casefold()
    if any(phrase.casefold() in folded for phrase in gate.leak_phrases):
        return "leak"
    return None


def _length_failure(gate: Gate, correction: Completion, failed: Completion) -> str | None:
    length, reference = len(correction.token_ids), len(failed.token_ids)
    if gate.min_length_ratio is not None and length < gate.min_length_ratio * reference:
        return "too_short"
    if gate.max_length_ratio is not None and length > gate.max_length_ratio * reference:
        return "too_long"
    return None


def _mean_logp(correction: Completion) -> float:
    """Under the original prompt [nats/token]; not knowing it is not passing."""
    if correction.prompt_logp is None:
        raise RowError(
            f"gate: completion {correction.prompt_id}/{correction.index} was not scored under its "
            "original prompt, which min_mean_logp needs; set sampler.min_mean_logp=null"
        )
    return correction.prompt_logp / len(correction.token_ids)
