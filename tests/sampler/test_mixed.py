import pytest
from judged_rows import asked, judged
from sampler_settings import settings_of

from align_cli.errors import ConfigError
from align_cli.sampler.best_of_n import best_of_n
from align_cli.sampler.mixed import mixed


@pytest.mark.parametrize("other", ["reference", "initial"])
def test_so_many_draws_of_each_prompt_are_anothers(other: str) -> None:
    draws = mixed([asked("a"), asked("b")], [], **settings_of("mixed", n=4, others=1, other=other))
    assert [(d.prompt_id, d.index, d.author) for d in draws] == [
        (id, index, other if index == 0 else "current") for id in "ab" for index in range(4)
    ]


def test_one_pass_only() -> None:
    assert mixed([asked()], [judged(0, True)], **settings_of("mixed")) == []


def test_a_smaller_n_asks_for_a_prefix_of_each_prompts_draws() -> None:
    small, large = (mixed([asked()], [], **settings_of("mixed", n=n, others=2)) for n in (3, 8))
    assert small == large[:3]


def test_without_others_it_is_best_of_n() -> None:
    plain = settings_of("best_of_n", n=3)
    chosen = settings_of("mixed", n=3, others=0)
    assert mixed([asked()], [], **chosen) == best_of_n([asked()], [], **plain)


def test_more_others_than_draws_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"others 3 is above sampler\.n 2"):
        mixed([asked()], [], **settings_of("mixed", n=2, others=3))
