import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judged_rows import judged
from sampler_settings import settings_of

from align_cli.errors import ConfigError, RowError
from align_cli.rows import Decoding, Draw, Message, Prompt, prompt_id
from align_cli.sampler.offline import offline

ROWS = [
    {"question": "1+2", "good": "3#3", "bad": {"text": "4#4"}},
    {"question": "2+2", "good": "4#4", "bad": {"text": None}},
    {"question": "1+2", "good": "#3", "bad": {"text": "9#9"}},
]


def asked(question: str) -> Prompt:
    messages = (Message("user", question),)
    return Prompt(id=prompt_id(messages), messages=messages, gold="3", source="test:0")


@pytest.fixture
def chosen(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return settings_of("offline", path=str(file), answer_fields=("good", "bad.text"))


def test_answers_come_row_by_row_and_field_by_field(chosen: dict[str, Any]) -> None:
    prompts = [asked("2+2"), asked("1+2"), asked("8+8")]
    draws = offline(prompts, [], **chosen)
    assert [(d.messages[0].content, d.index, d.given) for d in draws] == [
        ("2+2", 0, "4#4"), ("1+2", 0, "3#3"), ("1+2", 1, "4#4"), ("1+2", 2, "#3"),
        ("1+2", 3, "9#9"),
    ]  # fmt: skip
    assert {draw.author for draw in draws} == {"recorded"}
    fewer = offline(prompts, [], **chosen | {"n": 2})
    assert fewer == [draw for draw in draws if draw.index < 2]
    assert offline(prompts, [judged(0, True)], **chosen) == []


def test_a_prompt_is_recognised_with_the_tasks_instruction(chosen: dict[str, Any]) -> None:
    assert len(offline([asked("2+2 =")], [], **chosen | {"instruction": " ="})) == 1
    with pytest.raises(ConfigError, match="none of its 2 questions is one of the 1 prompts"):
        offline([asked("2+2 =")], [], **chosen)


def test_what_cannot_be_read_is_refused(chosen: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        offline([asked("1+2")], [], **chosen | {"path": "nowhere.jsonl"})
    with pytest.raises(ConfigError, match="answer_fields is empty"):
        offline([asked("1+2")], [], **chosen | {"answer_fields": ()})
    with pytest.raises(RowError, match="no field 'response'"):
        offline([asked("1+2")], [], **chosen | {"answer_fields": ("response",)})


def test_exactly_the_recorded_are_given() -> None:
    with pytest.raises(RowError, match="exactly the recorded are given"):
        Draw(
            prompt_id="a", index=0, messages=asked("1").messages, given="3",
            decoding=Decoding(max_new_tokens=4),
        )  # fmt: skip


def test_real_solutions_are_four_to_a_question(shared_data: Callable[[str], Path]) -> None:
    file = shared_data("gsm8k_solutions") / "solutions.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    writers = [name for name in rows[0] if name not in ("question", "ground_truth")]
    prompts = [asked(row["question"]) for row in rows]
    fields = tuple(f"{name}.solution" for name in writers)
    draws = offline(prompts, [], **settings_of("offline", path=str(file), answer_fields=fields))
    assert len(draws) == 1600
    assert set(Counter(draw.prompt_id for draw in draws).values()) == {4}
    assert draws[0].given == rows[0][writers[0]]["solution"]
