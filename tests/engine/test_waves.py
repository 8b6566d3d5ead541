"""Which draws are decoded together."""

from hypothesis import given
from hypothesis import strategies as st

from align_cli.engine.sampling import Rule
from align_cli.engine.waves import Request, waves

RULES = (Rule(1.0, 1.0, 0), Rule(0.0, 1.0, 0), Rule(1.0, 0.9, 0), Rule(1.0, 1.0, 5))
lengths = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2), st.integers(0, 3)), max_size=40)


def wanted(shapes):
    return [
        Request(place, f"p{kind}", (kind,) * length, 0, RULES[rule], 8)
        for place, (length, kind, rule) in enumerate(shapes)
    ]


@given(shapes=lengths, rows=st.integers(1, 9), mixes=st.booleans())
def test_waves_part_the_requests_and_keep_what_they_promise(shapes, rows, mixes):
    cut = list(waves(wanted(shapes), rows=rows, mixes_lengths=mixes))
    assert sorted(request.place for wave in cut for request in wave) == list(range(len(shapes)))
    for wave in cut:
        assert 1 <= len(wave) <= rows
        assert len({request.rule for request in wave}) == 1
        prompts = [request.prompt for request in wave]
        assert prompts == sorted(prompts, key=lambda prompt: (len(prompt), prompt))
        assert mixes or len({len(prompt) for prompt in prompts}) == 1


@given(count=st.integers(1, 60), rows=st.integers(1, 9))
def test_waves_of_a_kind_are_as_few_as_can_be_and_of_equal_size(count, rows):
    cut = list(waves(wanted([(2, 0, 0)] * count), rows=rows, mixes_lengths=True))
    assert len(cut) == -(-count // rows)
    sizes = [len(wave) for wave in cut]
    assert max(sizes) - min(sizes) <= 1
