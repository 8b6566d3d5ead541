from judged_rows import asked, judged

from align_cli.rows import Decoding
from align_cli.sampler.best_of_n import best_of_n

SETTINGS = {"temperature": 0.7, "top_p": 0.9, "top_k": 5, "max_new_tokens": 32}


def test_asks_for_n_draws_a_prompt_by_prompt_then_index():
    prompts = [asked("b"), asked("a")]
    draws = best_of_n(prompts, [], n=3, **SETTINGS)
    assert [(d.prompt_id, d.index) for d in draws] == [
        ("b", 0), ("b", 1), ("b", 2), ("a", 0), ("a", 1), ("a", 2)
    ]  # fmt: skip
    assert all(d.messages == prompts[0].messages for d in draws)
    assert {d.decoding for d in draws} == {
        Decoding(max_new_tokens=32, temperature=0.7, top_p=0.9, top_k=5)
    }
    assert {(d.kind, d.corrects, d.gate, d.author) for d in draws} == {
        ("natural", None, None, "current")
    }


def test_one_pass_only():
    assert best_of_n([asked()], [judged(0, None)], n=3, **SETTINGS) == []


def test_a_smaller_n_asks_for_a_prefix_of_each_prompts_draws():
    prompts = [asked("a"), asked("b")]
    small = best_of_n(prompts, [], n=2, **SETTINGS)
    large = best_of_n(prompts, [], n=16, **SETTINGS)
    assert small == [draw for draw in large if draw.index < 2]
