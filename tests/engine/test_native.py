"""Engine native against its definition: one sequence at a time, without a cache."""

import pytest
import torch

from align_cli.engine import cache
from align_cli.engine.native import native
from align_cli.errors import AlignError, NonFinite, RowError
from align_cli.model.logps import token_logps

PLAIN = ["llama", "qwen2", "gpt2"]
OTHER = ["bloom", "mistral", "gemma3_text", "qwen3_5_text"]
DECODINGS = [
    {},
    {"temperature": 0.0},
    {"temperature": 0.7, "top_p": 0.8},
    {"temperature": 1.3, "top_k": 5},
    {"top_k": 6, "top_p": 0.7},
]


def same_answers(made, wanted, tolerance=1e-6):
    assert [out.token_ids for out in made] == [out.token_ids for out in wanted]
    assert [out.finish for out in made] == [out.finish for out in wanted]
    for one, other in zip(made, wanted, strict=True):
        assert one.logps == pytest.approx(other.logps, abs=tolerance)
        assert one.prompt_token_ids == other.prompt_token_ids


@pytest.mark.parametrize("family", PLAIN + OTHER)
def test_answers_are_those_of_the_definition(family, tiny, ask, naive, quiet):
    model, call = tiny(family), ask(range(9), n=3)
    made = native(**call, model=model, advance=quiet, rows=12)
    wanted = [
        naive(model, prompt, key, draw.decoding)
        for draw, prompt, key in zip(call["draws"], call["prompt_ids"], call["keys"], strict=True)
    ]
    # Linear attention reads a prompt in chunks and goes on by recurrence, both in float32.
    same_answers(made, wanted, tolerance=1e-4 if family == "qwen3_5_text" else 1e-6)
    assert {out.finish for out in made} == {"stop", "length"}
    assert len({len(out.token_ids) for out in made}) > 5


@pytest.mark.parametrize("decoding", DECODINGS, ids=str)
def test_decoding_settings_are_those_of_the_definition(decoding, tiny, ask, naive, quiet):
    model, call = tiny("llama"), ask(range(4), n=4, **decoding)
    made = native(**call, model=model, advance=quiet, rows=1024)
    pairs = zip(call["draws"], call["prompt_ids"], call["keys"], strict=True)
    same_answers(made, [naive(model, prompt, key, draw.decoding) for draw, prompt, key in pairs])


def test_draws_of_different_decodings_share_a_call(tiny, ask, quiet):
    model = tiny("llama")
    calls = [ask(range(5), n=2, **how, max_new_tokens=6 + 4 * i) for i, how in enumerate(DECODINGS)]
    order = [(i, j) for j in range(10) for i in range(len(calls))]
    mixed = {name: [calls[i][name][j] for i, j in order] for name in calls[0]}
    together = native(**mixed, model=model, advance=quiet, rows=1024)
    apart = [native(**call, model=model, advance=quiet, rows=1024) for call in calls]
    same_answers(together, [apart[i][j] for i, j in order])


@pytest.mark.parametrize("family", PLAIN)
def test_logps_are_those_of_teacher_forcing(family, tiny, ask, quiet):
    model = tiny(family, torch.float32)
    made = native(**ask(range(12), n=4), model=model, advance=quiet, rows=1024)
    with torch.inference_mode():
        logps_BT, mask_BT = token_logps(
            model.network, [o.prompt_token_ids for o in made], [o.token_ids for o in made]
        )
    for out, logps_T, mask_T in zip(made, logps_BT, mask_BT, strict=True):
        assert out.logps == pytest.approx(logps_T[mask_T].tolist(), abs=1e-4)


def test_a_call_twice_gives_the_same_numbers(tiny, ask, quiet):
    model, call = tiny("llama", torch.float32), ask(range(20), n=4)
    one, two = (native(**call, model=model, advance=quiet, rows=64) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral"])
@pytest.mark.parametrize("rows", [1, 7, 1024])
def test_answers_do_not_depend_on_company(family, rows, tiny, ask, quiet):
    model = tiny(family)
    many = native(**ask(range(10), n=16), model=model, advance=quiet, rows=1024)
    few = ask([7, 2, 9], n=4)
    alone = native(**few, model=model, advance=quiet, rows=rows)
    same_answers(alone, [many[16 * prompt + index] for prompt in (7, 2, 9) for index in range(4)])


def test_in_single_precision_company_changes_next_to_nothing(tiny, ask, quiet):
    model, call = tiny("llama", torch.float32), ask(range(40), n=8)
    large, small = (native(**call, model=model, advance=quiet, rows=rows) for rows in (1024, 7))
    different = sum(a.token_ids != b.token_ids for a, b in zip(large, small, strict=True))
    assert different <= 2


def test_half_precision_decodes(tiny, ask, quiet):
    model = tiny("llama", torch.bfloat16)
    made = native(**ask(range(3), n=2), model=model, advance=quiet, rows=1024)
    assert all(len(out.token_ids) == len(out.logps) for out in made)


def test_greedy_is_the_librarys_greedy(tiny, ask, quiet):
    model, call = tiny("llama"), ask(range(6), n=1, temperature=0.0, max_new_tokens=12)
    made = native(**call, model=model, advance=quiet, rows=1024)
    for out in made:
        ids = torch.tensor([out.prompt_token_ids])
        full = model.network.generate(ids, do_sample=False, max_new_tokens=12)
        assert list(out.token_ids) == full[0, ids.shape[1] :].tolist()


def test_an_answer_keeps_its_stop_token_and_nothing_after(tiny, ask, quiet):
    model = tiny("llama")
    for out in native(**ask(range(20), n=4), model=model, advance=quiet, rows=1024):
        stops = [token in model.stop_ids for token in out.token_ids]
        assert not any(stops[:-1])
        assert out.finish == ("stop" if stops[-1] else "length")
        assert out.finish == "stop" or len(out.token_ids) == 24


def test_any_of_several_stop_tokens_ends_an_answer(tiny, ask, quiet):
    model = tiny("llama")
    model.network.generation_config.eos_token_id = [1, 5, 9]
    made = native(**ask(range(20), n=4), model=model, advance=quiet, rows=1024)
    assert {out.token_ids[-1] for out in made if out.finish == "stop"} == {1, 5, 9}


def test_the_window_cuts_an_answer(tiny, ask, quiet):
    model, call = tiny("llama"), ask([0, 1, 2], n=8, max_new_tokens=1000)
    made = native(**call, model=model, advance=quiet, rows=1024)
    assert max(len(out.prompt_token_ids) + len(out.token_ids) for out in made) == model.window
    assert {out.finish for out in made if len(out.token_ids) > 30} >= {"length"}
    for out in made:
        full = len(out.prompt_token_ids) + len(out.token_ids) == model.window
        assert full or out.finish == "stop"


@pytest.mark.parametrize("length", [48, 49])
def test_a_prompt_without_room_is_named(length, tiny, ask, quiet):
    call = ask([0, 1], n=1)
    call["prompt_ids"][1] = (3,) * length
    with pytest.raises(RowError, match=rf"prompt p1 is {length} tokens .* window 48"):
        native(**call, model=tiny("llama"), advance=quiet, rows=8)


def test_a_prompt_with_room_for_one_token_gets_one(tiny, ask, quiet):
    call = ask([0], n=1)
    call["prompt_ids"][0] = (3,) * 47
    (out,) = native(**call, model=tiny("llama"), advance=quiet, rows=8)
    assert len(out.token_ids) == 1


def test_an_empty_prompt_is_named(tiny, ask, quiet):
    call = ask([4], n=1)
    call["prompt_ids"][0] = ()
    with pytest.raises(RowError, match="prompt p4 encodes to no token"):
        native(**call, model=tiny("llama"), advance=quiet, rows=8)


def test_nothing_asked_nothing_made(tiny, quiet):
    assert native([], [], [], tiny("llama"), quiet, rows=8) == []


def test_progress_adds_up(tiny, ask):
    seen = []
    call = ask(range(6), n=5)
    made = native(
        **call,
        model=tiny("llama"),
        advance=lambda rows, tokens: seen.append((rows, tokens)),
        rows=8,
    )
    assert sum(rows for rows, _ in seen) == len(made)
    assert sum(tokens for _, tokens in seen) == sum(len(out.token_ids) for out in made)
    assert len(seen) > 4


def test_siblings_share_one_reading_of_their_prompt(tiny, ask, quiet):
    model, call, read = tiny("llama"), ask(range(6), n=8), []

    def count(module, arguments, named):
        read.append(named["input_ids"].shape)

    handle = model.network.register_forward_pre_hook(count, with_kwargs=True)
    native(**call, model=model, advance=quiet, rows=1024)
    handle.remove()
    prompts = sum(rows * width for rows, width in read if width > 1)
    assert prompts == sum(len(prompt) for prompt in set(call["prompt_ids"]))


def test_finished_rows_are_not_computed(tiny, ask, quiet):
    model, read = tiny("llama"), []
    handle = model.network.register_forward_pre_hook(
        lambda module, arguments, named: read.append(named["input_ids"].shape), with_kwargs=True
    )
    made = native(**ask(range(6), n=8), model=model, advance=quiet, rows=1024)
    handle.remove()
    # The first token of an answer comes from the prompt's logits.
    steps = sum(rows for rows, width in read if width == 1)
    assert steps == sum(len(out.token_ids) - 1 for out in made)


def test_long_answers_outgrow_the_slots_allocated_ahead(tiny, ask, quiet, monkeypatch):
    model, call = tiny("llama"), ask(range(6), n=4, max_new_tokens=40)
    whole = native(**call, model=model, advance=quiet, rows=1024)
    monkeypatch.setattr(cache, "ROOM", 2)
    same_answers(native(**call, model=model, advance=quiet, rows=1024), whole)


def test_prompts_read_in_parts_are_the_same_prompts(tiny, ask, quiet, monkeypatch):
    model, call = tiny("llama"), ask(range(12), n=2)
    whole = native(**call, model=model, advance=quiet, rows=1024)
    monkeypatch.setattr("align_cli.engine.prefill.PREFILL_TOKENS", 9)
    same_answers(native(**call, model=model, advance=quiet, rows=1024), whole)


def test_weights_that_are_not_numbers_are_named(tiny, ask, quiet):
    model = tiny("llama")
    with torch.no_grad():
        model.network.get_output_embeddings().weight[3] = float("nan")
    for temperature in (0.0, 1.0):
        with pytest.raises(NonFinite, match=r"prompt p0: .* token 0"):
            native(**ask([0], 2, temperature=temperature), model=model, advance=quiet, rows=8)


def test_too_little_memory_says_which_setting_to_lower(tiny, ask, quiet, monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("align_cli.engine.native.decode", full)
    with pytest.raises(AlignError, match=r"engine\.rows=8\); lower engine\.rows"):
        native(**ask([0], n=3), model=tiny("llama"), advance=quiet, rows=8)
