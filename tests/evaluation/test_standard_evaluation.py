import pytest
from judged_rows import asked

from align_cli.errors import ConfigError
from align_cli.evaluation.standard import standard
from align_cli.rows import Decoding

SAMPLED = {"temperature": 0.8, "top_p": 0.9, "top_k": 7, "max_new_tokens": 20}


def test_a_greedy_answer_then_samples():
    prompts = [asked("b"), asked("a")]
    draws = standard(prompts, greedy=True, samples=2, **SAMPLED)
    assert [(d.prompt_id, d.index) for d in draws] == [
        ("b", 0), ("b", 1), ("b", 2), ("a", 0), ("a", 1), ("a", 2)
    ]  # fmt: skip
    greedy = Decoding(max_new_tokens=20, temperature=0.0, top_p=1.0, top_k=0)
    sampled = Decoding(max_new_tokens=20, temperature=0.8, top_p=0.9, top_k=7)
    assert [d.decoding for d in draws] == [greedy, sampled, sampled] * 2
    assert all(d.messages == prompts[0].messages for d in draws)


@pytest.mark.parametrize(
    ("greedy", "samples", "temperatures"),
    [(True, 0, [0.0]), (False, 2, [0.8, 0.8]), (True, 1, [0.0, 0.8])],
)
def test_either_may_be_left_out(greedy: bool, samples: int, temperatures: list[float]):
    draws = standard([asked()], greedy=greedy, samples=samples, **SAMPLED)
    assert [d.decoding.temperature for d in draws] == temperatures
    assert [d.index for d in draws] == list(range(len(temperatures)))


def test_but_not_both():
    with pytest.raises(ConfigError, match="nothing would be drawn"):
        standard([asked()], greedy=False, samples=0, **SAMPLED)
