"""A function of the user's judges, one answer at a time."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier import python_worker
from align_cli.verifier.killable import Reply, ask_all
from align_cli.verifier.verdicts import graded, judged, unanswered, unscored

PROGRAM = Path(python_worker.__file__)


def python(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    *,
    function_target: str,
    timeout_seconds: Annotated[float, "> 0", "s"],
    workers: Annotated[int, ">= 1", "processes"],
) -> list[Label]:
    """Whatever `function(question, answer, gold)` returns: right or wrong, a score, or no verdict.

        True, False       right or wrong, with score 1 or 0
        a finite number   the score, called neither right nor wrong
        None              the answer is not judged (`refused`)

    All three arguments are texts: the prompt's last message, the answer, and the gold, which is
    None where there is none. A call that raises leaves its row unscored (`error`, the exception in
    the detail), as does one that returns anything else; a call that takes longer than the limit is
    killed with its process (`timeout`). Other rows are judged all the same.

    A function that wants all rows at once is a verifier of its own: name it by
    `verifier._target_`.

    Settings:
        function_target: dotted path of the function, in one of `plugins`.
        timeout_seconds: wall clock per row [s].
        workers: processes that judge at once; each imports the function's module.
    """
    questions = [
        {
            "target": function_target,
            "path": sys.path,
            "question": prompt.messages[-1].content,
            "answer": completion.text,
            "gold": prompt.gold,
        }
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    replies = ask_all(PROGRAM, questions, workers=workers, timeout_seconds=timeout_seconds)
    return [
        unanswered(completion, reply) or _label(completion, reply, function_target)
        for completion, reply in zip(completions, replies, strict=True)
    ]


def _label(completion: Completion, reply: Reply, target: str) -> Label:
    said = reply.content["said"]
    if said is None:
        return unscored(completion, "refused", f"{target} returned None")
    if isinstance(said, bool):
        return judged(completion, right=said, score=float(said), answer=None)
    return graded(completion, float(said))
