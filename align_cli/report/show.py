"""One run looked into: where it is, what it yielded, one prompt's completions side by side."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from align_cli.errors import AlignError
from align_cli.report.ledger import ledger, print_ledger, print_training
from align_cli.report.result import read_result
from align_cli.report.search import print_search, search_facts
from align_cli.report.tables import print_result, result_json
from align_cli.report.trust import print_trust, trust
from align_cli.rows import Completion, Label, Prompt, Rubric
from align_cli.store.run_folder import round_name, rows_at
from align_cli.training_rows import Group, Pair

STAGES = (
    "1_prompts",
    "1_demonstrations",
    "1_preferences",
    "1_rubric",
    "2_pool",
    "2_features",
    "2_completions",
    "3_labels",
    "4_pairs",
    "4_audit",
    "4_reference",
    "4_start",
    "4_mismatch",
    "5_policy",
    "5_reward_model",
    "5_policy_extrapolated",
    "6_scores",
)


def show(
    folder: Path, *, prompt: str | None, round_number: int | None, console: Console, as_json: bool
) -> None:
    """Print a run's progress and yields, or one prompt of one round (`prompt` may be a prefix)."""
    result = read_result(folder)
    if prompt is None:
        if as_json:
            facts = {
                **result_json(result),
                "stages": stages(folder),
                "ledger": ledger(result),
                "trust": trust(result),
                **({"rubrics": told} if (told := rubrics(folder)) else {}),
            }
            console.print_json(json.dumps(facts))
            return
        print_result(result, console)
        print_training(result, console)
        print_trust(result, console)
        print_ledger(result, console)
        for row in rubrics(folder):
            why = f" ({row['stands_because']})" if row["stands_because"] else ""
            line = f"round {row['round']}: rubric v{row['version']}{why}: {row['text']}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if not result.complete:
            last = [where for where, done in stages(folder).items() if done]
            console.print(f"unfinished; last stages: {', '.join(last[-2:]) or 'none'}")
        return
    number = round_number if round_number is not None else max(result.rounds, default=0)
    facts = prompt_facts(folder, number, prompt)
    if as_json:
        console.print_json(json.dumps(facts))
    else:
        _print_prompt(facts, number, console)


def rubrics(folder: Path) -> list[dict[str, Any]]:
    """Every version of a rubric that changes, with the first round that is judged by it."""
    return [
        {"round": int(place.parent.name.removeprefix("round_")), **asdict(row)}
        for place in sorted(folder.glob("round_*/1_rubric"))
        for row in rows_at(place, "rubric", Rubric)
    ]


def stages(folder: Path) -> dict[str, bool]:
    """{place: finished} of every round begun."""
    rounds = sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("round_"))
    return {
        f"{where}/{stage}": (folder / where / f"{stage}.json").is_file()
        for where in ["start", *rounds]
        for stage in STAGES
        if (folder / where / stage).exists()
    }


def prompt_facts(folder: Path, number: int, wanted: str) -> dict[str, Any]:
    """Everything a round holds about the one prompt whose id begins with `wanted`."""
    here = folder / round_name(number)
    prompts = rows_at(here / "1_prompts", "prompts", Prompt)
    found = [prompt for prompt in prompts if prompt.id.startswith(wanted)]
    if len(found) != 1:
        some = ", ".join(prompt.id for prompt in (found or prompts)[:5])
        raise AlignError(
            f"{len(found)} prompts of {here} begin with {wanted!r}; one was wanted. There are "
            f"{len(prompts)}, for example {some}"
        )
    key = found[0].id
    labels, audited = (
        {
            label.index: label
            for label in rows_at(here / stage, "labels", Label)
            if label.prompt_id == key
        }
        for stage in ("3_labels", "4_audit")
    )
    pairs = [pair for pair in rows_at(here / "4_pairs", "pairs", Pair) if pair.prompt_id == key]
    groups = [row for row in rows_at(here / "4_pairs", "groups", Group) if row.prompt_id == key]
    completions = [
        completion
        for completion in rows_at(here / "2_completions", "completions", Completion)
        if completion.prompt_id == key
    ]
    return {
        "prompt": asdict(found[0]),
        "completions": [
            {
                **asdict(c),
                "label": asdict(labels[c.index]) if c.index in labels else None,
                "audit": asdict(audited[c.index]) if c.index in audited else None,
            }
            for c in sorted(completions, key=lambda c: c.index)
        ],
        "pairs": [asdict(pair) for pair in pairs],
        "groups": [asdict(group) for group in groups],
        "search": None
        if all(one.step_ends is None for one in completions)
        else search_facts(completions, list(labels.values()), pairs, _step_end(folder)),
    }


def _step_end(folder: Path) -> str | None:
    """The text that ended a step in this run, where its sampler looked for steps."""
    from align_cli.config.reopened import reopen

    settings = reopen(folder / "config.yaml").bindings["sampler"].settings
    # Steps that end before the answer too are in no text a line each: there is no tree to draw.
    end = None if "answer_mark" in settings else settings.get("step_end")
    return None if end is None else str(end)


def _print_prompt(facts: dict[str, Any], number: int, console: Console) -> None:
    prompt = facts["prompt"]
    turns = "\n".join(f"{m['role']}: {m['content']}" for m in prompt["messages"])
    title = f"{prompt['id']}  round {number}  {prompt['source']}  gold {prompt['gold']}"
    # Text, not markup: a source such as `arithmetic:train:3` would be shown as an emoji.
    console.print(Panel(Text(turns), title=Text(title), title_align="left"), highlight=False)
    whole = [pair for pair in facts["pairs"] if pair["steps"] is None]
    sides = {pair["chosen"]: "chosen" for pair in whole}
    sides |= {pair["rejected"]: "rejected" for pair in whole}
    sides |= {index: "member" for group in facts["groups"] for index in group["indices"]}
    role = "group" if facts["groups"] else "pair"
    table = Table(box=None, pad_edge=False)
    audited = any(row["audit"] for row in facts["completions"])
    for name in ("#", "kind", "score", *["audit"] * audited, "answer", "tokens", role, "text"):
        table.add_column(name, overflow="fold")
    for row in facts["completions"]:
        label = row["label"] or {}
        table.add_row(
            str(row["index"]),
            _kind(row),
            _said(label),
            *[_said(row["audit"] or {})] * audited,
            Text(str(label.get("answer"))),
            str(len(row["token_ids"])),
            sides.get(row["index"], ""),
            Text(row["text"]),
        )
    console.print(table, markup=False, highlight=False)
    if facts["search"] is not None:
        print_search(facts["search"], console)


def _said(label: dict[str, Any]) -> str:
    score = label.get("score")
    return str(label.get("verdict", "not labelled")) if score is None else f"{score:g}"


def _kind(row: dict[str, Any]) -> str:
    if row["continues"] is not None:
        return f"from {row['continues']} at {row['kept_tokens']}"
    return str(row["kind"]) if row["corrects"] is None else f"corrects {row['corrects']}"
