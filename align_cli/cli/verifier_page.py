"""The words around the table of docs/verifiers.md."""

BEFORE = """\
# Verifiers and judges

A verifier says what an answer is worth: `verifier=math`, `verifier.timeout_seconds=2`; `align
explain verifier=code` prints formula, source and every setting with its range. This page is made by
`python -m align_cli.cli.document verifiers > docs/verifiers.md`.

A label has three states: right or wrong (with a score), graded (a score alone), or *unscored with
a reason*: `no_gold`, `unreadable_gold`, `timeout`, `error`, `refused` (the judge declined),
`malformed` (what it said cannot be read). An unscored answer is never a zero and never in a pair;
above `verifier.max_unscored` the run stops and says the reasons.

"""

AFTER = """
## How far to trust one

```bash
align verify answers.jsonl verifier=math_strict --out judged.jsonl
```

judges answers whose labels are known and prints the table of confusion, false positives and
negatives, the disagreements (all in `--json` and `--out`) and answers a minute; of a judge that
only grades, how often a right answer stands above its wrong sibling. `--least 0.99` makes a lower
agreement exit 1. Fields that are not named (`--question`, `--gold`, `--gold-after`, `--answer`,
`--label`) are looked for.

Measured on 25 November 2026 on 1,600 labelled solutions of GSM8K problems by four models, 615 of
them right:

| `verifier=` | solutions whole: false positives, negatives | without their answer line |
| --- | --- | --- |
| `math`, `math_lenient`, `dpo_r1` | 0, 0 | 2, 18 |
| `math_strict` (`verifier.answer_marker=A:`) | 0, 0 | 0, 615 |
| `exact` (`verifier.marker=A:`) | 0, 1 | |

Permissive extraction takes the last number of a text that marks no answer: two wrong solutions end
on the gold by chance, and 18 right ones end on another number. The math verifier judged 33,356
answers a minute (range 32,975 to 36,842 of 3 runs, two worker processes, two busy cores;
`tests/benchmarks/bench_verify.py`).

## Processes that are killed

`math`, `regex` and `python` judge in worker processes, `code` in a process an answer. One that
takes longer than its limit is killed, its row is unscored, and no process outlives the call or a
killed run. `code` runs what a model wrote: on Linux (x86-64, ARM64) a filter of system calls
refuses it new processes, the network, and whatever would change a file, on top of limits of CPU,
memory and time; it can still read what you can read. Elsewhere only the limits hold, and
`verifier.sandbox=full`, the default, refuses to run.

## A language model as judge

`llm_judge` grades each answer, `llm_judge_pairwise` compares siblings two by two in both orders.
Either asks an OpenAI-compatible server (`verifier.server`, `verifier.model`). `llm_judge_local` and
`llm_judge_pairwise_local` ask a transformers model in the run's own process (`verifier.path`): the
same wording, read once, greedy, in memory beside the policy.

```bash
align run verifier=llm_judge_pairwise verifier.model=NAME pairing=best_worst \\
    evaluation.verifier=exact
align run verifier=llm_judge_local verifier.path=FOLDER verifier.right_from=6
```

The rubric is text in the configuration. A hash of it and of the wording around it stands on every
label; another rubric is another stage, so no round mixes two. HTTP 429, 5xx and refused connections
are waited out (Retry-After is honoured); a server that stays away stops the run with all labels
kept, and the same command goes on. Answers are kept in `verifier.cache` by server, model and full
request.

## Siblings together

A verifier asks by parameter name for `completions`, which it judges one by one, or for `siblings`:
all answers to each prompt so far. An answer that gets new siblings in a later pass of the sampler
is judged again, and its last label stands.

```python
def shortest(prompts, siblings, *, bonus: float) -> list[Label]:
    # siblings[i] are the answers to prompts[i]; one flat list of labels, in that order.
    return [label(answer, members, bonus) for members in siblings for answer in members]
```

Scores against siblings say who is better, not how good, so such a verifier cannot examine a policy:
`evaluation.verifier=exact` names one that can. A verifier that only grades is reported by
`eval/sampled_score` and never as an accuracy.

## Progress of the steps

```bash
align run sampler=forced_stop verifier=progress evaluation.verifier=exact pairing=best_worst
```

cuts every answer at the ends of its steps and makes the policy answer there at once
(`sampler.force` is put after the beginning). J of a beginning is the share of its forced answers
that are right, progress what a step adds to J, and an answer's score its outcome plus
`verifier.weight` times the progress (MRT, as a score: a reconstruction). Outcome and J are what
`evaluation.verifier` says. Forced answers are rows like any other (`kind` is `forced`,
`forced_tokens` of them were put there), in no pair and in no number of the answers;
`label/forced_right/K_steps` is the curve of J over the steps, `sample/forced` what it cost in
draws.

## A rubric that is written anew

```bash
align run verifier=evolving_rubric verifier.model=NAME pairing=best_worst \\
    evaluation.verifier=exact
```

is `llm_judge` whose rubric changes between rounds (MPO, arXiv:2504.20157, a reconstruction: how
often and in which words it is rewritten there is not known to us). Every `verifier.every` rounds
the judge is shown its rubric and `verifier.examples` of the answers that it graded by it, and
writes the next version (`verifier.meta_prompt`). Each version is a row in `round_NN/1_rubric`, with
the analysis that led to it; every label says by which version it was given; a version that cannot
be used changes nothing and says why (`rubric/revision_failed`). No round mixes two.
"""
