"""The effective protocol of a run: what a reader of its numbers must know, on one screen."""

import re
from pathlib import Path
from typing import Any

from rich.table import Table

from align_cli.cli.divergence import promised
from align_cli.cli.output import plain
from align_cli.config.build import Binding
from align_cli.config.schema import Frozen

DECODING = ("temperature", "top_p", "top_k", "max_new_tokens")


def as_dict(config: Frozen) -> dict[str, Any]:
    """The protocol and every setting, for programs."""
    return {
        "name": config.run_name(),
        "folder": str(Path(config.outputs) / config.run_name()),
        "choices": dict(config.choices),
        "protocol": dict(protocol(config)),
        "settings": config.identity(),
    }


def protocol_table(config: Frozen) -> Table:
    """The protocol as two columns."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in protocol(config):
        table.add_row(name, plain(text))
    return table


def protocol(config: Frozen) -> list[tuple[str, str]]:
    """(aspect, what holds) in the order of the data."""
    parts = config.bindings
    schedule, loss = parts["schedule"].settings, parts["loss"]
    chosen = {"run", "task", "policy", "sampler", "verifier", "noise", "pairing", "filter"}
    rest = {k: v for k, v in schedule.items() if k not in ("reference", "draw_from", "replay")}
    return [
        ("run", f"{config.run_name()} in {config.outputs}/"),
        *(("branch", text) for text in [_branch(config)] if text),
        *((group, described(parts[group])) for group in parts if group in chosen),
        *(("rubric", text) for text in [_rubric(parts["verifier"])] if text),
        ("decoding", _decoding(parts)),
        ("ties", _ties(parts["pairing"])),
        ("unscored", f"never trained on; above {_unscored(parts)} of a round the run stops"),
        ("loss", described(loss)),
        *(("divergence", text) for text in [promised(loss.settings)] if text),
        ("formula", formula(loss)),
        ("log-probs", f"{_reduction(loss)}; the loss is the mean over a batch's {loss.unit}"),
        ("reference", _reference(loss, schedule)),
        ("draw_from", str(schedule.get("draw_from", "(the schedule does not say)"))),
        ("replay", str(schedule.get("replay", "(the schedule does not say)"))),
        ("schedule", f"{parts['schedule'].choice} ({_settings(rest)})"),
        ("evaluation", described(parts["evaluation"])),
        ("engine", described(parts["engine"])),
        ("tracker", described(parts["tracker"])),
        ("seed", f"{config.seed}: every draw is keyed by (seed, round, prompt, sample)"),
        ("device", f"{config.device}, threads {_shown(config.threads)}"),
    ]


def _branch(config: Frozen) -> str:
    branch = config.branch
    if branch is None:
        return ""
    rounds = "round 0" if branch.round == 1 else f"rounds 0 to {branch.round - 1}"
    return f"{rounds} are those of {branch.run}, by its settings, not by these"


def _rubric(verifier: Binding) -> str:
    """How a rubric that changes begins, and how it changes."""
    told = verifier.loop_settings
    if "rubric" not in verifier.needs:
        return ""
    rounds = "round" if told["every"] == 1 else f"{told['every']} rounds"
    return (
        f"version 1: {told['rubric']!r}; written anew every {rounds}, from {told['examples']} "
        f"graded answers, in at most {told['most_words']} words"
    )


def described(binding: Binding) -> str:
    """A choice with all of its settings."""
    settings = {k: v for k, v in binding.settings.items() if k not in DECODING}
    inside = _settings(settings)
    return f"{binding.choice} ({inside})" if inside else binding.choice


def formula(binding: Binding) -> str:
    """The line of the docstring that begins `loss =`, or its first line."""
    docstring = binding.signature.docstring
    found = re.search(r"^\s*(loss\w*\s*=.*)$", docstring, re.MULTILINE)
    return re.sub(r"\s+", " ", found[1]).strip() if found else docstring.partition("\n")[0]


def _ties(pairing: Binding) -> str:
    if (ties := pairing.settings.get("ties", "drop")) != "drop":
        return f"a pair of margin 0, as asked for by name: pairing.ties={ties}"
    if pairing.unit == "pairs":
        return "never a pair: two answers of one score teach nothing"
    return "members of one group; the pairing says whether a group of one score is kept"


def _reduction(loss: Binding) -> str:
    """Whether the loss looks at lengths, by its source, where log-probs reach it as sums."""
    if "tokens" in loss.needs:
        return "token by token"
    file = loss.signature.file
    looks = (
        file is not None and re.search("_len_B|len_C", file.read_text(encoding="utf-8")) is not None
    )
    return "summed over tokens, lengths at hand" if looks else "summed over tokens"


def _reference(loss: Binding, schedule: Any) -> str:
    held = str(schedule.get("reference", "(the schedule does not say)"))
    asked = {
        "ref_pairs": held,
        "ref_tokens": held,
        "ref_groups": held,
        "token_kls": "in memory while it trains",
        "ref_fresh": "in memory while it trains, beside answers drawn afresh",
        "mismatch_logratio_G": "also under answers of other prompts",
        "start_pairs": "and the policy that enters the round",
    }
    found = [text for name, text in asked.items() if name in loss.needs]
    return ", ".join(found) or f"none: {loss.choice} asks for no reference"


def _decoding(parts: Any) -> str:
    lines = []
    for group in ("sampler", "evaluation"):
        settings = parts[group].settings
        said = {key: settings[key] for key in DECODING if key in settings}
        lines.append(f"{group}: {_settings(said) or '(its settings)'}")
    return "; ".join(lines)


def _unscored(parts: Any) -> str:
    return f"{parts['verifier'].loop_settings['max_unscored']:.1%}"


def _settings(settings: Any) -> str:
    return ", ".join(f"{name}={_shown(value)}" for name, value in settings.items())


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, str) and " " in value else str(value)
