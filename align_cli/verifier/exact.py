"""The answer must be the gold, letter by letter."""

from collections.abc import Sequence

from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.marked import after_marker
from align_cli.verifier.verdicts import judged, unscored


def exact(
    prompts: Sequence[Prompt], completions: Sequence[Completion], *, marker: str
) -> list[Label]:
    """Right iff what follows the last `marker` is the gold answer as a string.

        score = 1 if strip(text after the last marker) == strip(gold) else 0

    A completion without the marker is wrong and has no answer; a prompt without gold is not
    judged (`no_gold`), and one whose gold is blank neither (`unreadable_gold`).

    Settings:
        marker: what announces the final answer, e.g. `#` in `7+8=15;15-3=12#12`.
    """
    return [
        _label(prompt, completion, marker)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]


def _label(prompt: Prompt, completion: Completion, marker: str) -> Label:
    if prompt.gold is None:
        return unscored(completion, "no_gold")
    gold, answer = prompt.gold.strip(), after_marker(completion.text, marker)
    if not gold:
        return unscored(completion, "unreadable_gold", "the gold answer is blank")
    right = answer == gold
    detail = "" if answer is not None else f"no {marker!r} in the text"
    return judged(completion, right=right, score=float(right), answer=answer, detail=detail)
