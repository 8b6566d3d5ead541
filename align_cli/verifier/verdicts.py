"""The two kinds of label a verifier gives: judged, or not judged and why."""

from align_cli.rows import Completion, Label, Verdict


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
