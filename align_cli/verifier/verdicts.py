"""The kinds of label a verifier gives: judged, graded, or not judged and why."""

from dataclasses import replace

from align_cli.rows import Completion, Label, Verdict
from align_cli.verifier.killable import Reply


def judged(
    completion: Completion, *, right: bool, score: float, answer: str | None, detail: str = ""
) -> Label:
    """A verdict on an answer that was read, or that should have been there to read."""
    return Label(
        prompt_id=completion.prompt_id,
        index=completion.index,
        score=score,
        right=right,
        answer=answer,
        detail=detail,
        clean_score=score,
        clean_right=right,
    )


def unscored(completion: Completion, verdict: Verdict, detail: str = "") -> Label:
    """No verdict: never zero, never paired, always counted."""
    return Label(
        prompt_id=completion.prompt_id, index=completion.index, verdict=verdict, detail=detail
    )


def unanswered(completion: Completion, reply: Reply) -> Label | None:
    """The label of a question that its worker did not answer; None where it did."""
    if reply.outcome == "timeout":
        return unscored(completion, "timeout", reply.detail)
    if reply.outcome == "died" or "error" in reply.content:
        return unscored(completion, "error", str(reply.content.get("error", reply.detail)))
    return None


def scored(
    completion: Completion,
    score: float,
    threshold: float | None,
    detail: str = "",
    member_scores: tuple[float, ...] | None = None,
    member_weights: tuple[float, ...] | None = None,
) -> Label:
    """A score, and where there is a threshold the verdict: right from there on.

    A judge of several members says what each of them gave, and by which weights they were summed.
    """
    if threshold is None:
        label = graded(completion, score, detail)
    else:
        right = score >= threshold
        label = judged(completion, right=right, score=score, answer=None, detail=detail)
    return replace(label, member_scores=member_scores, member_weights=member_weights)


def graded(completion: Completion, score: float, detail: str = "") -> Label:
    """A score of an answer that is called neither right nor wrong."""
    return Label(
        prompt_id=completion.prompt_id,
        index=completion.index,
        score=score,
        detail=detail,
        clean_score=score,
    )
