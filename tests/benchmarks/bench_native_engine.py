"""Engine native against `transformers.generate`: tokens/s in one run, and one distribution.

Run it by hand from the repository root, on an idle machine (two threads on a busy one wait for each
other most of the time; give --threads 1 there):

    python tests/benchmarks/bench_native_engine.py [--repeats N] [--threads N] [--model random]

256 prompts x 8 answers at temperature 1, ended by the model itself or at 64 tokens, float32. All
take turns, so that what else the machine does falls on all. `generate` runs with left padding and
num_return_sequences in three ways: everything in one call; prompts sorted by length, in batches and
on as many threads as a first pass finds fastest; and that with the log-probs that native records.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from transformers import LlamaConfig, LlamaForCausalLM

from align_cli.engine.native import native
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Decoding, Draw, Message
from align_cli.seeds import derive
from align_cli.task.arithmetic import arithmetic

TINY = Path(__file__).resolve().parents[2] / "align_cli" / "policy" / "tiny"
PROMPTS, SAMPLES, MAX_NEW, BAR = 256, 8, 64, 3.0
PERMUTATIONS = 200

Answers = list[list[tuple[int, ...]]]
"""[prompt][sample] -> token ids, the stop token included."""


class RandomTokenizer:
    """Enough of a tokenizer for a model without text: four of its 100 tokens stop."""

    eos_token_id, pad_token_id = 0, 99


def load(name: str) -> tuple[LanguageModel, list[tuple[int, ...]]]:
    """The bundled policy and 256 of its problems, or a random model of about that size.

    The policy's answers are 13 to 39 tokens long; a random model's vary from 1 to the limit.
    """
    if name == "tiny" and (TINY / "model.safetensors").exists():
        model = LanguageModel.load(TINY, device="cpu")
        problems = arithmetic(
            "train", 0, 0, prompts_per_round=PROMPTS, heldout_prompts=1,
            min_steps=2, max_steps=4, first_max=50,
        )  # fmt: skip
        return model, [model.encode_prompt(problem.messages) for problem in problems]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=100, hidden_size=128, intermediate_size=512, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=256,
        eos_token_id=[0, 1, 2, 3], pad_token_id=99, initializer_range=0.1,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    prompts = [tuple(rng.integers(4, 99, rng.integers(6, 14)).tolist()) for _ in range(PROMPTS)]
    return LanguageModel(LlamaForCausalLM(config).eval(), RandomTokenizer()), prompts


def by_native(model: LanguageModel, prompts: Sequence[tuple[int, ...]], repeat: int) -> Answers:
    how, ask = Decoding(max_new_tokens=MAX_NEW), (Message("user", ""),)
    names = [(f"p{i}", j) for i in range(len(prompts)) for j in range(SAMPLES)]
    made = native(
        [Draw(prompt_id=name, index=j, messages=ask, decoding=how) for name, j in names],
        [prompt for prompt in prompts for _ in range(SAMPLES)],
        [derive(repeat, name, j) for name, j in names],
        model,
        lambda rows, tokens: None,
        rows=256,
    )
    ids = [out.token_ids for out in made]
    return [ids[at : at + SAMPLES] for at in range(0, len(ids), SAMPLES)]


def by_generate(
    model: LanguageModel,
    prompts: Sequence[tuple[int, ...]],
    repeat: int,
    *,
    batch: int,
    logps: bool = False,
) -> Answers:
    torch.manual_seed(repeat)
    pad = model.tokenizer.pad_token_id
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    found: Answers = [[] for _ in prompts]
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        width = max(len(prompts[place]) for place in places)
        gaps = [width - len(prompts[place]) for place in places]
        ids = [[pad] * gap + [*prompts[place]] for gap, place in zip(gaps, places, strict=True)]
        mask = [[0] * gap + [1] * (width - gap) for gap in gaps]
        out = model.network.generate(
            torch.tensor(ids), attention_mask=torch.tensor(mask), do_sample=True, temperature=1.0,
            top_k=0, top_p=1.0, num_return_sequences=SAMPLES, max_new_tokens=MAX_NEW,
            eos_token_id=list(model.stop_ids), pad_token_id=pad, return_dict_in_generate=True,
            output_logits=logps,
        )  # fmt: skip
        answers = out.sequences[:, width:]
        if logps:
            logits = torch.stack(out.logits, dim=1)
            logits.log_softmax(-1).gather(-1, answers[..., None]).squeeze(-1).tolist()
        for row, answer in enumerate(answers.tolist()):
            ends = [at for at, token in enumerate(answer) if token in model.stop_ids]
            length = ends[0] + 1 if ends else len(answer)
            found[places[row // SAMPLES]].append(tuple(answer[:length]))
    return found


def timed(work: Callable[..., Answers], *arguments: Any, **settings: Any) -> tuple[float, Answers]:
    """Tokens per second, and the answers."""
    start = time.perf_counter()
    answers = work(*arguments, **settings)
    seconds = time.perf_counter() - start
    return sum(len(one) for many in answers for one in many) / seconds, answers


def on_threads(threads: int, work: Callable[..., Answers], *arguments: Any, **settings: Any) -> Any:
    """`timed` with a number of torch threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = timed(work, *arguments, **settings)
    torch.set_num_threads(before)
    return found


def fastest(model: LanguageModel, prompts: Sequence[tuple[int, ...]]) -> tuple[int, int]:
    """The prompts per call and the number of threads that `generate` is fastest with."""
    choices = [(size, n) for size in (16, 32, 64, 128) for n in {1, torch.get_num_threads()}]
    speeds = dict.fromkeys(choices, 0.0)
    for _ in range(2):
        for size, threads in choices:
            speed, _ = on_threads(threads, by_generate, model, prompts, 0, batch=size)
            speeds[size, threads] = max(speed, speeds[size, threads])
    tried = ", ".join(f"{size}/{n}: {speed:,.0f}" for (size, n), speed in speeds.items())
    print(f"generate by prompts per call / threads [tokens/s]: {tried}")
    return max(speeds, key=lambda choice: speeds[choice])


def race(
    model: LanguageModel, prompts: Sequence[tuple[int, ...]], repeats: int
) -> tuple[Answers, Answers]:
    """Print the speeds; the answers of all repeats, joined by prompt: native's and generate's."""
    timed(by_native, model, prompts, 0)
    batch, threads = fastest(model, prompts)
    rivals: dict[str, dict[str, Any]] = {
        "in one call": {"batch": len(prompts)},
        f"in calls of {batch}": {"batch": batch},
        f"in calls of {batch}, with log-probs": {"batch": batch, "logps": True},
    }
    ours: Answers = [[] for _ in prompts]
    theirs: Answers = [[] for _ in prompts]
    speeds: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in rivals}
    for repeat in range(1, repeats + 1):
        fast, answers = timed(by_native, model, prompts, repeat)
        speeds.append(fast)
        for number, (name, settings) in enumerate(rivals.items()):
            key = 10 * repeat + number
            slow, others = on_threads(threads, by_generate, model, prompts, key, **settings)
            ratios[name].append(fast / slow)
        for place in range(len(prompts)):
            ours[place] += answers[place]
            theirs[place] += others[place]
    print(f"generate on {threads} threads, native on {torch.get_num_threads()}")
    print(f"native [tokens/s]: {', '.join(f'{speed:,.0f}' for speed in speeds)}")
    for name, found in ratios.items():
        low, middle, high = min(found), float(np.median(found)), max(found)
        verdict = "met" if middle >= BAR else "missed"
        print(
            f"native / generate {name:36} min {low:.2f}  median {middle:.2f}  max {high:.2f}"
            f"   bar of {BAR}: {verdict}"
        )
    return ours, theirs


def first_tokens(ours: Answers, theirs: Answers) -> float:
    """p-value of a chi-square summed over prompts: how often each token comes first."""
    statistic, freedom = 0.0, 0
    for mine, other in zip(ours, theirs, strict=True):
        table = np.zeros((2, 1 + max(one[0] for one in mine + other)))
        for row, answers in enumerate((mine, other)):
            for one in answers:
                table[row, one[0]] += 1
        expected = table.sum(0) / 2
        # Rare tokens are pooled, so that the chi-square approximation holds.
        rare = expected < 5
        pooled = np.column_stack([table[:, ~rare], table[:, rare].sum(1)])
        pooled = pooled[:, pooled.sum(0) > 0]
        if pooled.shape[1] > 1:
            found = stats.chi2_contingency(pooled, correction=False)
            statistic, freedom = statistic + found.statistic, freedom + found.dof
    return float(stats.chi2.sf(statistic, freedom)) if freedom else 1.0


def bigrams(answers: Sequence[tuple[int, ...]], size: int) -> np.ndarray:
    """Counts of neighbouring tokens."""
    left = [token for one in answers for token in one[:-1]]
    right = [token for one in answers for token in one[1:]]
    pairs = np.array(left, np.int64) * size + np.array(right, np.int64)
    return np.bincount(pairs, minlength=size * size)


def two_sample(mine: np.ndarray, other: np.ndarray) -> float:
    """Chi-square distance of two tables of counts."""
    total = mine + other
    seen = total > 0
    return float((((mine - other) ** 2)[seen] / total[seen]).sum())


def permuted(
    ours: Answers, theirs: Answers, statistic: Callable[[list, list], float]
) -> tuple[float, float]:
    """A statistic, and its p-value when answers to a prompt change sides at random.

    Tokens of an answer are not independent, so whole answers are exchanged, within a prompt.
    """
    rng = np.random.default_rng(0)

    def joined(sides: tuple[Answers, Answers]) -> tuple[list, list]:
        first, second = ([one for many in side for one in many] for side in sides)
        return first, second

    def shuffled() -> tuple[Answers, Answers]:
        left: Answers = []
        right: Answers = []
        for mine, other in zip(ours, theirs, strict=True):
            both = mine + other
            order = rng.permutation(len(both))
            left.append([both[at] for at in order[: len(mine)]])
            right.append([both[at] for at in order[len(mine) :]])
        return left, right

    found = statistic(*joined((ours, theirs)))
    by_chance = [statistic(*joined(shuffled())) for _ in range(PERMUTATIONS)]
    return found, (1 + sum(one >= found for one in by_chance)) / (1 + PERMUTATIONS)


def compare(ours: Answers, theirs: Answers) -> None:
    """Print p-values of "both are the same distribution"."""
    size = 1 + max(token for many in ours + theirs for one in many for token in one)

    def distance(mine: list, other: list) -> float:
        return two_sample(bigrams(mine, size), bigrams(other, size))

    def lengths(mine: list, other: list) -> float:
        left, right = (list(map(len, answers)) for answers in (mine, other))
        return float(stats.ks_2samp(left, right, method="asymp").statistic)

    count = sum(map(len, ours))
    print(f"same distribution? {count} answers each; a small p would say no")
    print(f"  first tokens by prompt, chi-square            p = {first_tokens(ours, theirs):.3f}")
    found, p = permuted(ours, theirs, distance)
    print(f"  bigrams, permutation within prompts           p = {p:.3f}  (chi2 {found:.0f})")
    found, p = permuted(ours, theirs, lengths)
    print(f"  lengths, KS, permutation within prompts       p = {p:.3f}  (D {found:.4f})")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--model", choices=["tiny", "random"], default="tiny")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    model, prompts = load(chosen.model)
    weights = sum(weight.numel() for weight in model.network.parameters())
    print(
        f"{type(model.network).__name__}, {weights:,} parameters, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads; {len(prompts)} prompts x {SAMPLES}"
    )
    compare(*race(model, prompts, chosen.repeats))


if __name__ == "__main__":
    main()
