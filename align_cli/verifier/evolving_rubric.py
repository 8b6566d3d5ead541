"""A language model grades each answer by a rubric that it rewrites between rounds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from align_cli.rows import Completion, Label, Prompt, Rubric
from align_cli.verifier.chat_server import ChatServer
from align_cli.verifier.judge_model import JudgeModel, Structured, through
from align_cli.verifier.llm_judge import Scale, grades


def evolving_rubric(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    rubric: Rubric,
    *,
    server: str,
    model: str,
    lowest: Annotated[float, "(-inf, inf)", "score"],
    highest: Annotated[float, "(-inf, inf)", "score"],
    right_from: Annotated[float | None, "(-inf, inf)", "score"],
    show_gold: bool,
    structured: Structured,
    temperature: Annotated[float, ">= 0"],
    max_tokens: Annotated[int, ">= 1", "tokens"],
    api_key_env: str | None,
    timeout_seconds: Annotated[float, "> 0", "s"],
    retries: Annotated[int, ">= 0"],
    first_wait_seconds: Annotated[float, ">= 0", "s"],
    longest_wait_seconds: Annotated[float, ">= 0", "s"],
    cache: str | None,
    workers: Annotated[int, ">= 1", "requests"],
) -> list[Label]:
    """verifier=llm_judge by the round's version of a rubric: version 1 is `verifier.rubric`.

        score   = the judge's number in [lowest, highest], by version v of the rubric
        v + 1   every `every` rounds: the same model is shown version v and `examples` answers that
                it graded by it in those rounds, and writes the rubric anew (`meta_prompt`)

    A round is judged by one version, so no pair mixes two; scores of rounds with different versions
    are not comparable, so this verifier examines no policy (evaluation.verifier=exact). Version and
    hash stand in every label's detail. Each version is a row of its own in the run folder
    (`round_NN/1_rubric`), with the model's analysis; one whose reply cannot be read, is empty or is
    longer than `most_words` changes nothing: the version before stands, and the row says why. What
    noise adds to a label is not shown. A run that is started again goes on with its versions.

    Source: MPO, arXiv:2504.20157 (id from memory). **Reconstruction**: there, a meta judge screens
    samples, analyses failures, and rewrites and merges the rubric item by item, in several calls,
    at an interval that is not known to us; here it is one call, in words of ours, between rounds.

    Settings:
        server, model, structured, temperature, max_tokens, api_key_env, timeout_seconds, retries,
        first_wait_seconds, longest_wait_seconds, cache, workers, lowest, highest, right_from,
        show_gold: as in verifier=llm_judge.
        rubric: version 1, in words.
        every: rounds that are judged by one version.
        examples: graded answers that the model is shown, evenly spread from the lowest score to
            the highest.
        meta_prompt: what the model is told to do with rubric and answers.
        meta_max_tokens: most tokens of its reply.
        most_words: longest rubric that is accepted.
    """
    scale = Scale(lowest, highest, right_from)
    asked = ChatServer(
        server, api_key_env, timeout_seconds, retries, first_wait_seconds,
        longest_wait_seconds, None if cache is None else Path(cache),
    )  # fmt: skip
    judge = JudgeModel(
        ask_all=through(asked, workers),
        model=model,
        rubric=rubric.text,
        task=scale.task,
        schema=scale.schema,
        structured=structured,
        temperature=temperature,
        max_tokens=max_tokens,
    )
    labels = grades(judge, scale, prompts, completions, show_gold)
    said = f"rubric v{rubric.version} "
    return [replace(each, detail=each.detail.replace("rubric ", said, 1)) for each in labels]
