"""Rows to judge, and a look at the processes that judge them."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from verifier_rows import make_completion, make_prompt

from align_cli.rows import Label

Judge = Callable[..., list[Label]]


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
