"""A language model grades each answer by a rubric."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from align_cli.errors import ConfigError
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.chat_server import ChatServer
from align_cli.verifier.judge_model import (
    JudgeModel,
    Opinion,
    Structured,
    conversation,
    schema_of,
    through,
)
from align_cli.verifier.verdicts import graded, judged, unscored

TASK = (
    "Give the answer a score from {lowest:g} (worst) to {highest:g} (best). Reply with one JSON "
    'object and nothing else: {{"reason": "one sentence", "score": NUMBER}}. If you cannot judge, '
    "the score is null."
)


def llm_judge(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    *,
    server: str,
    model: str,
    rubric: str,
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
    """The score that a model behind an OpenAI-compatible server gives an answer, by a rubric.

        score = the judge's number in [lowest, highest]
        right = score >= right_from, where that is set

    The judge sees rubric, question and answer, and replies with a JSON object: a reason, then a
    score. A label's detail begins with the version of the rubric, a hash of its text and of the
    wording around it. What is no score in range is `malformed`, null or a refusal `refused`, a
    request that is too slow `timeout`, one that the server calls wrong (HTTP 400, 413, 422)
    `error`: never a score.

    HTTP 429, 500, 502, 503, 504 and a refused connection are tried again after a wait that doubles;
    a Retry-After header is honoured. A server that stays away stops the run; labels of finished
    shards and every answer so far (in `cache`) are kept, so that the same command goes on from
    there.

    Settings:
        server: base URL of the API, e.g. of vLLM, llama.cpp or a provider.
        model: its name there.
        rubric: by what to judge, in words; changing it judges anew.
        lowest, highest: ends of the scale.
        right_from: least score that is called right; null: the judge only grades.
        show_gold: whether the judge sees the reference answer.
        structured: how the JSON is enforced: `json_schema`, `json_object`, or `none` (by words).
        temperature, max_tokens: the judge's decoding.
        api_key_env: environment variable with the key; null: none is sent. No key is recorded.
        timeout_seconds: of one request [s].
        retries: tries after the first.
        first_wait_seconds, longest_wait_seconds: before the first retry, and at most [s].
        cache: folder of answers by server, model and full request; null: none. Answers that could
            not be read are not kept.
        workers: requests at once.
    """
    asked = ChatServer(
        server, api_key_env, timeout_seconds, retries, first_wait_seconds,
        longest_wait_seconds, None if cache is None else Path(cache),
    )  # fmt: skip
    scale = Scale(lowest, highest, right_from)
    judge = JudgeModel(
        ask_all=through(asked, workers),
        model=model,
        rubric=rubric,
        task=scale.task,
        schema=scale.schema,
        structured=structured,
        temperature=temperature,
        max_tokens=max_tokens,
    )
    return grades(judge, scale, prompts, completions, show_gold)


@dataclass(frozen=True, slots=True)
class Scale:
    """The numbers that a grade may be."""

    lowest: float
    highest: float
    right_from: float | None

    def __post_init__(self) -> None:
        if not self.lowest < self.highest:
            raise ConfigError(
                f"verifier.lowest {self.lowest:g} must be below verifier.highest {self.highest:g}"
            )

    @property
    def task(self) -> str:
        """How the judge must answer, in words."""
        return TASK.format(lowest=self.lowest, highest=self.highest)

    @property
    def schema(self) -> dict[str, Any]:
        """The same as a JSON schema."""
        return schema_of("score", {"type": ["number", "null"]})

    def read(self, answer: dict[str, Any]) -> float | None:
        """The grade in a judge's answer."""
        return _score(answer["score"], self.lowest, self.highest)


def grades(
    judge: JudgeModel,
    scale: Scale,
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    show_gold: bool,
) -> list[Label]:
    """One label an answer, whoever the judge is."""
    shown = [
        f"{conversation(prompt, show_gold)}\n\n[Answer]\n{completion.text}"
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    return [
        _label(completion, opinion, scale.right_from, judge.version)
        for completion, opinion in zip(completions, judge.opinions(shown, scale.read), strict=True)
    ]


def _score(value: Any, lowest: float, highest: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"score {value!r} is no number")
    if not lowest <= value <= highest:
        raise ValueError(f"score {value} is not in [{lowest:g}, {highest:g}]")
    return float(value)


def _label(
    completion: Completion, opinion: Opinion, right_from: float | None, version: str
) -> Label:
    detail = f"rubric {version}: {opinion.reason}"
    if opinion.value is None:
        return unscored(completion, opinion.verdict, detail)
    score = float(opinion.value)
    if right_from is None:
        return graded(completion, score, detail)
    return judged(completion, right=score >= right_from, score=score, answer=None, detail=detail)
