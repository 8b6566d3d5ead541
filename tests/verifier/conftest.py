"""Rows to judge, and a look at the processes that judge them."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from align_cli.rows import Completion, Label, Message, Prompt, prompt_id

Judge = Callable[..., list[Label]]


def make_prompt(number: int, gold: str | None) -> Prompt:
    messages = (Message("user", f"question {number}"),)
    return Prompt(id=prompt_id(messages), messages=messages, gold=gold, source=f"test:{number}")


def make_completion(prompt: Prompt, text: str, index: int = 0) -> Completion:
    return Completion(
        prompt_id=prompt.id,
        index=index,
        text=text,
        token_ids=(1,),
        logps=(0.0,),
        finish="stop",
        policy="none",
        author="current",
        kind="natural",
        corrects=None,
        messages=None,
        prompt_logp=None,
        prompt_tokens=1,
        seed=0,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        max_new_tokens=64,
    )


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Labels of (gold, text) rows by a verifier, each row a prompt of its own."""

    def call(
        verifier: Judge, rows: Sequence[tuple[str | None, str]], **settings: Any
    ) -> list[Label]:
        prompts = [make_prompt(number, gold) for number, (gold, _) in enumerate(rows)]
        completions = [
            make_completion(prompt, text) for prompt, (_, text) in zip(prompts, rows, strict=True)
        ]
        labels = verifier(prompts, completions, **settings)
        assert [(label.prompt_id, label.index) for label in labels] == [(p.id, 0) for p in prompts]
        return labels

    return call
