"""The pages docs/samplers.md, docs/verifiers.md and docs/experiments.md, made from conf/.

python -m align_cli.cli.document samplers > docs/samplers.md
python -m align_cli.cli.document verifiers > docs/verifiers.md
python -m align_cli.cli.document experiments > docs/experiments.md
"""

import sys
from collections.abc import Iterable, Sequence

from align_cli.cli import verifier_page
from align_cli.cli.stated import stated_text
from align_cli.config.catalogue import Choice, choices, explain
from align_cli.config.compose import compose
from align_cli.config.stated import ABSENT, compared

SAMPLERS = """\
# Samplers, pairing rules, filters

A sampler says which answers are drawn, a pairing rule which of them become pairs, a filter which
pairs are dropped again. Each is a choice (`sampler=pace`), each setting a word
(`sampler.explore=3`); `align explain sampler=tree` prints formula, source and every setting with
its range. This page is made by `python -m align_cli.cli.document samplers > docs/samplers.md`.

A sampler is a function of the prompts and of everything drawn and judged so far in the round; it is
asked again until it wants nothing more. `sample/draws_per_prompt` is what a round really drew. The
same seed gives the same rows at any batch size, shard size and order of the prompts.

"""

AFTER_SAMPLERS = """
## Going on from a beginning

A draw may carry a prefix: the first tokens of a sibling, by the ids that were sampled and with
their log-probs. The engine reads them after the prompt and samples the rest; the answer's ids are
the kept ones and the new ones, nothing is tokenised again, and only new tokens are counted as
generated (`sample/kept_tokens` are the others). `Completion.continues` and `kept_tokens` say what
was kept, `step_ends` after how many tokens each step ends.

`sampler=tree` is built on that, and `pairing=sibling_steps` pairs the steps it found:

```bash
align run experiment=[mcts_dpo,smoke] name=searched
align show searched --prompt ID
```

The second command prints each step with its visits N, mean score Q and prior p. A side of such a
pair is the common beginning and its own step, no more; `loss=mcts_dpo` and `loss=suffix_dpo` train
on what differs, and `loss.believe=visits` smooths a pair's label by the visits of its two steps.
Steps that were visited alike get e = 1/2 by that formula, which holds a pair where it is. Measured
once, on two rounds of 200 prompts (seed 0, the same draws in round 0, 150 held-out problems):
sampled accuracy 0.563 to 0.573 with `visits`, 0.563 to 0.657 with `scores` (values of the steps).

```bash
align run -m experiment=mcts_dpo loss.believe=visits,scores schedule.rounds=2 \\
  task.prompts_per_round=200 task.heldout_prompts=150 evaluation.samples=2
```

## Auditing a round

`evaluation.verifier=NAME` names a held-out verifier. It judges the held-out answers, and (unless
`evaluation.audit=false`) also a round's training answers beside the verifier that is trained on:
`4_audit` holds its labels, and `align show` prints how often the two differ, how many chosen
answers the held-out one calls wrong, and what it says of the best of n by the other (the gap that
grows with n where selection finds the errors). Nothing is trained on it.

Every pair set is held against rules that know nothing of the answers' worth: `pair/trivial/longer`
(its complement is "the shorter wins"), `first`, `more_digits`, `has_answer`, `stops`; 0.5 says that
a rule predicts nothing, and `filter=trivial_rule` drops pairs until it is so.
`sample/duplicate_share` is the share of answers that a sibling repeats.
`pair/chosen_wrong_share` counts wrong winners where noise is known, and
`pair/chosen_wrong_predicted` is what selection must make of the counted error rates
([noise.md](noise.md)); both also by stratum.

"""

EXPERIMENTS = """\
# Experiments named after papers

`align run experiment=NAME` runs a published protocol on the bundled world: its sampler, pairing,
loss and reference, at the size and learning rate of the small policy. `align check
experiment=NAME` prints the effective protocol and where it differs from what the source states,
under whatever other words are given (`policy=hf policy.path=...`, `schedule.learning_rate=5e-7`).
"Inferred" is read from a library's default or from a relative of the paper; "unknown" is what the
sources at hand do not say, with the value that is taken here. This page is made by
`python -m align_cli.cli.document experiments > docs/experiments.md`.

The statements stand in the heads of `conf/experiment/*.yaml`, as yaml; an experiment of your own
may declare its own.

"""


def samplers() -> str:
    """docs/samplers.md."""
    parts = [SAMPLERS, _table("sampler"), AFTER_SAMPLERS]
    for group, title in (("pairing", "Pairing rules"), ("filter", "Filters")):
        parts.append(f"## {title}\n\n{_table(group)}\n")
    return "".join(parts).rstrip() + "\n"


def verifiers() -> str:
    """docs/verifiers.md."""
    return verifier_page.BEFORE + _table("verifier") + verifier_page.AFTER


def _table(group: str) -> str:
    rows = [
        (f"`{choice.name}`", choice.summary, _settings(choice), choice.source)
        for choice in choices(group)
    ]
    return _markdown((f"`{group}=`", "what it does", "settings", "source"), rows)


def _settings(choice: Choice) -> str:
    """The settings that are the choice's own, with their values."""
    common = ("temperature", "top_p", "top_k", "max_new_tokens", "max_unscored")
    rows = [row for row in explain(choice.group, choice.name).settings if row.name not in common]
    return ", ".join(row.name for row in rows)


def experiments() -> str:
    """docs/experiments.md."""
    parts = [EXPERIMENTS]
    for choice in choices("experiment"):
        found = compared(choice.name, compose([f"experiment={choice.name}"]))
        if found is None:
            continue
        rows = [(f"`{e.key}`", stated_text(e), str(e.here)) for e in found.differences]
        parts.append(f"## {choice.name}\n\n{choice.summary} Source: {found.source}.\n\n")
        if rows:
            parts.append(_markdown(("differs", "stated", "here"), rows) + "\n")
        lines = {
            "Missing": "; ".join(f"`{key}`: {text}" for key, text in found.missing.items()),
            "As stated": ", ".join(f"`{e.key}={stated_text(e)}`" for e in found.kept),
            "No setting of a run": "; ".join(f"{k}: {v}" for k, v in found.words.items()),
            "Unknown": ", ".join(
                key if here == ABSENT else f"`{key}` (here {here})"
                for key, here in found.unknown.items()
            ),
        }
        parts += [f"{name}: {text}.\n\n" for name, text in lines.items() if text]
    return "".join(parts).rstrip() + "\n"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines)
    return "".join(f"| {line} |\n" for line in cells)


PAGES = {"samplers": samplers, "verifiers": verifiers, "experiments": experiments}

if __name__ == "__main__":
    sys.stdout.write(PAGES[sys.argv[1]]())
