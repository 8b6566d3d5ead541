"""Completions and labels for tests of samplers, gate, pairing rules and evaluation."""

from align_cli.rows import Completion, Judged, Label, Message, Prompt, Verdict

PROMPT = "0123456789abcdef"


def asked(id: str = PROMPT, *, gold: str | None = "12", stratum: str = "") -> Prompt:
    return Prompt(
        id=id, messages=(Message("user", "7+8-3"),), gold=gold, source="test:0", stratum=stratum
    )


def judged(
    index: int,
    right: bool | None,
    *,
    score: float | None = None,
    prompt_id: str = PROMPT,
    text: str = "7+8=15;15-3=12#12",
    length: int = 4,
    finish: str = "stop",
    corrects: int | None = None,
    prompt_logp: float | None = None,
    answer: str | None = None,
    temperature: float = 1.0,
) -> Judged:
    """right None with no score is an unscored completion; with a score, a graded one."""
    if score is None and right is not None:
        score = float(right)
    verdict: Verdict = "timeout" if score is None else "judged"
    completion = Completion(
        prompt_id=prompt_id,
        index=index,
        text=text,
        token_ids=tuple(range(1, length + 1)),
        logps=(-0.5,) * length,
        finish=finish,
        policy="p",
        author="current",
        kind="natural" if corrects is None else "corrected",
        corrects=corrects,
        messages=None,
        prompt_logp=prompt_logp,
        prompt_tokens=6,
        seed=1,
        temperature=temperature,
        top_p=1.0,
        top_k=0,
        max_new_tokens=64,
    )
    label = Label(
        prompt_id=prompt_id,
        index=index,
        score=score,
        right=right,
        verdict=verdict,
        answer=answer,
    )
    return Judged(completion=completion, label=label)
