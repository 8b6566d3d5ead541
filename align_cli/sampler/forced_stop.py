"""Whole answers, and what the policy answers when it is made to stop at their steps."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from align_cli.errors import ConfigError
from align_cli.rows import Completion, Decoding, Draw, Judged, Prefix, Prompt


def forced_stop(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    pool: Sequence[Completion],
    *,
    n: Annotated[int, ">= 2", "draws per prompt"],
    stops: Annotated[int, ">= 1", "draws per cut"],
    cuts: Annotated[int, ">= 1", "cuts per answer"],
    step_end: str,
    answer_mark: str | None,
    force: str,
    answer_tokens: Annotated[int, ">= 1", "tokens"],
    temperature: Annotated[float, ">= 0"],
    top_p: Annotated[float, "(0, 1]"],
    top_k: Annotated[int, ">= 0", "tokens"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> list[Draw]:
    """n whole answers to a prompt; then, at cuts of each, answers that are forced at once.

        forced answer   beginning of a whole answer, `force`, then what the policy samples
        cuts            the empty beginning; and of every answer the ends of its steps, and the
                        place where `answer_mark` first stands

    The share of a beginning's forced answers that are right estimates J, the chance of success of
    a policy that has to stop there; verifier=progress makes scores of it. Beginnings that are the
    same token by token share their forced answers, and the empty one is shared by all answers of a
    prompt, so a prompt takes at most n + stops (1 + n cuts) draws (`sample/draws_per_prompt`).

    Forced answers are judged and kept, and are in no pair and in no number of the answers; the
    share of them that is right, by the steps before the cut, is `label/forced_right/...`. The whole
    answers are drawn first, for the pool, so that every answer is judged once, with all of its
    forced answers known.

    Source: Qu et al. 2025, arXiv:2503.07572 (MRT; id from memory): J by forced termination.
    **Reconstruction**: where steps end, and how many forced answers estimate J.

    Settings:
        n: whole answers of a prompt.
        stops: forced answers of a beginning; the standard error of its J is at most
            1 / (2 sqrt(stops)).
        cuts: most cuts of an answer besides the empty one; of more steps, evenly spread ones are
            taken, the last always.
        step_end: the text that ends a step, e.g. a newline.
        answer_mark: the text that announces the final answer, e.g. `####`: the step before it
            ends there. null: only `step_end` ends a step, so the last step is never cut after.
        force: what is put after a beginning to make the policy answer, e.g. `\\n#### `.
        answer_tokens: most tokens of a forced answer, after `force`.
        temperature, top_p, top_k: as in sampler=best_of_n, for all draws.
        max_new_tokens: of a whole answer.
    """
    for name, text in (("step_end", step_end), ("answer_mark", answer_mark), ("force", force)):
        if text == "":
            raise ConfigError(f"sampler.{name} is empty; give the text, as the policy writes it")
    if judged:
        return []
    whole = Decoding(
        max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
    )
    drawn: dict[str, list[Completion]] = {prompt.id: [] for prompt in prompts}
    for row in sorted(pool, key=lambda row: row.index):
        drawn[row.prompt_id].append(row)
    draws: list[Draw] = []
    for prompt in prompts:
        draws += [
            Draw(
                prompt_id=prompt.id,
                index=index,
                messages=prompt.messages,
                decoding=whole,
                step_end=step_end,
                answer_mark=answer_mark,
                judge=bool(pool),
            )
            for index in range(n)
        ]
        begun = _beginnings(drawn[prompt.id], cuts) if pool else ()
        draws += [
            Draw(
                prompt_id=prompt.id,
                index=n + number,
                messages=prompt.messages,
                decoding=Decoding(
                    max_new_tokens=answer_tokens + (0 if prefix is None else len(prefix.token_ids)),
                    temperature=temperature,
                    top_p=top_p,
                    top_k=top_k,
                ),
                kind="forced",
                prefix=prefix,
                forced=force,
            )
            for number, prefix in enumerate(each for each in begun for _ in range(stops))
        ]
    return draws


def _beginnings(answers: Sequence[Completion], cuts: int) -> Iterator[Prefix | None]:
    """The empty beginning and every distinct one that an answer is cut at."""
    yield None
    known: set[tuple[int, ...]] = set()
    for row in answers:
        for tokens in _cuts(row, cuts):
            ids = row.token_ids[:tokens]
            if ids not in known:
                known.add(ids)
                yield Prefix(of=row.index, token_ids=ids, logps=row.logps[:tokens])


def _cuts(row: Completion, most: int) -> list[int]:
    """Where an answer is cut [tokens]: at most so many of its steps' ends, the last always."""
    ends = [end for end in row.step_ends or () if end < len(row.token_ids)]
    count = min(most, len(ends))
    return [ends[(number + 1) * len(ends) // count - 1] for number in range(count)]
