"""A transformers model in this process compares the answers to a prompt, in both orders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.judge_model import JudgeModel
from align_cli.verifier.llm_judge_pairwise import SCHEMA, TASK, win_rates
from align_cli.verifier.local_model import LocalModel


def llm_judge_pairwise_local(
    prompts: Sequence[Prompt],
    siblings: Sequence[Sequence[Completion]],
    device: str,
    *,
    path: str,
    revision: str | None,
    rubric: str,
    least_judged: Annotated[float, "(0, 1]", "share"],
    show_gold: bool,
    max_tokens: Annotated[int, ">= 1", "tokens"],
    batch_size: Annotated[int, ">= 1", "sequences"],
    cache: str | None,
) -> list[Label]:
    """An answer's mean win rate against its siblings, by a causal language model of transformers.

        P(a > b) = (points(a shown first) + points(a shown second)) / 2
        score(a) = mean over siblings b of P(a > b)

    As verifier=llm_judge_pairwise in all but who is asked: points, both orders, which comparisons
    count. Model, rubric and cache are those of verifier=llm_judge_local.

    Settings:
        path: a transformers folder, or a name on the hub.
        revision: branch, tag or commit of a hub model; null: its main branch, or a folder.
        rubric: by what to judge, in words; changing it judges anew.
        least_judged: share of an answer's comparisons that must count for it to have a score.
        show_gold: whether the judge sees the reference answer.
        max_tokens: most tokens of the judge's answer.
        batch_size: questions that are answered together; those of one length can be.
        cache: folder of answers by weights and full question; null: none.
    """
    local = LocalModel(path, revision, device, batch_size, None if cache is None else Path(cache))
    judge = JudgeModel(
        ask_all=local.ask_all,
        model=path,
        rubric=rubric,
        task=TASK,
        schema=SCHEMA,
        structured="none",
        temperature=0.0,
        max_tokens=max_tokens,
    )
    return win_rates(judge, prompts, siblings, least_judged, show_gold)
