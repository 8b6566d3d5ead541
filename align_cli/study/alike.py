"""Whether runs were examined alike; a comparison of unlike examinations says nothing."""

from collections.abc import Callable, Collection, Mapping, Sequence

from align_cli.config.nearest import listed, meant
from align_cli.errors import AlignError, ConfigError
from align_cli.study.evidence import RunEvidence

HARMLESS = ("verifier.max_unscored",)
"""It may stop a run, and changes no score."""


class UnlikeEvaluations(AlignError):
    """Runs whose scores are not of the same examination; the message names what differs."""

    exit_code = 2


Difference = Callable[[RunEvidence, RunEvidence], str | None]


def _prompts(one: RunEvidence, other: RunEvidence) -> str | None:
    mine, theirs = set(one.last.scores), set(other.last.scores)
    if mine == theirs:
        return None
    return (
        f"the held-out prompts: {len(mine)} and {len(theirs)}, of which {len(mine & theirs)} are "
        f"the same{_settings(one, other, 'task.')}"
    )


def _gold(one: RunEvidence, other: RunEvidence) -> str | None:
    common = one.gold.keys() & other.gold.keys()
    unlike = sorted(key for key in common if one.gold[key] != other.gold[key])
    if not unlike:
        return None
    key = unlike[0]
    return (
        f"the reference answers of {len(unlike)} held-out prompts, for instance {key}: "
        f"{one.gold[key]!r} and {other.gold[key]!r}"
    )


def _evaluation(one: RunEvidence, other: RunEvidence) -> str | None:
    return _settings(one, other, "evaluation.") or None


def _verifier(one: RunEvidence, other: RunEvidence) -> str | None:
    return _settings(one, other, "verifier.") or None


def _code(one: RunEvidence, other: RunEvidence) -> str | None:
    if one.judge_code == other.judge_code or _verifier(one, other):
        return None
    return f"the verifier's code: fingerprints {one.judge_code} and {other.judge_code}"


def _settings(one: RunEvidence, other: RunEvidence, prefix: str) -> str:
    keys = sorted(
        key
        for key in one.identity.keys() | other.identity.keys()
        if key.startswith(prefix) and key not in HARMLESS
    )
    unlike = [
        f"{key}: {one.identity.get(key, '(absent)')} and {other.identity.get(key, '(absent)')}"
        for key in keys
        if one.identity.get(key, "(absent)") != other.identity.get(key, "(absent)")
    ]
    lead = " (" if prefix == "task." else ""
    return f"{lead}{'; '.join(unlike)}{')' if lead else ''}" if unlike else ""


KINDS: Mapping[str, Difference] = {
    "prompts": _prompts,
    "gold": _gold,
    "evaluation": _evaluation,
    "verifier": _verifier,
    "code": _code,
}
UNFINISHED = "unfinished"
ALLOWABLE = (*KINDS, UNFINISHED)


def check_allowed(allowed: Collection[str]) -> None:
    """Refuse a word that allows nothing."""
    for word in allowed:
        if word not in ALLOWABLE:
            raise ConfigError(
                f"--allow: got {word!r}{meant(word, ALLOWABLE)}; wanted one of {listed(ALLOWABLE)}"
            )


def check_alike(runs: Sequence[RunEvidence], *, allowed: Collection[str]) -> list[str]:
    """Refuse runs that were examined differently from the first; return what was allowed."""
    let_pass: dict[str, str] = {}
    for run in runs[1:]:
        for kind, difference in KINDS.items():
            what = difference(runs[0], run)
            if what is None:
                continue
            if kind not in allowed:
                raise UnlikeEvaluations(
                    f"{runs[0].name} and {run.name} were not examined alike, so their scores do "
                    f"not compare. They differ in {what}. Examine both the same way, or say "
                    f"--allow {kind} and answer for it"
                )
            let_pass.setdefault(kind, f"allowed: {runs[0].name} and {run.name} differ in {what}")
    return list(let_pass.values())


def mixed_makers(runs: Sequence[RunEvidence]) -> list[str]:
    """Whether runs were made by different versions or on different devices, in words."""
    notes = []
    for name, made in sorted(_makers(runs).items()):
        if len(set(made.values())) > 1:
            groups: dict[str, list[str]] = {}
            for run, value in made.items():
                groups.setdefault(value, []).append(run)
            said = "; ".join(
                f"{value}: {len(names)} runs ({names[0]}{', ...' if len(names) > 1 else ''})"
                for value, names in groups.items()
            )
            notes.append(f"runs were made by different {name}: {said}")
    return notes


def _makers(runs: Sequence[RunEvidence]) -> dict[str, dict[str, str]]:
    """{what made them: {run: which}}; what a run did not record is unknown."""
    found: dict[str, dict[str, str]] = {}
    for run in runs:
        versions = run.environment.get("versions", {})
        facts = {name: versions.get(name) for name in ("torch", "transformers")}
        facts |= {name: run.environment.get(name) for name in ("align", "device")}
        for name, value in facts.items():
            found.setdefault(name, {})[run.name] = "unknown" if value is None else str(value)
    return found


def check_finished(run: RunEvidence, *, allowed: Collection[str]) -> str | None:
    """Refuse a run without scores of a trained policy, or that did not come to its end."""
    trained = [point for point in run.points if point.round is not None]
    if not trained:
        raise AlignError(
            f"{run.name} has no finished evaluation of a trained policy; finish it by the command "
            f"that began it (environment.json in {run.folder} has it), or leave it out"
        )
    if run.complete:
        return None
    state = f"{run.name} is unfinished: {len(trained)} of {run.rounds_wanted} rounds are scored"
    if UNFINISHED not in allowed:
        raise AlignError(f"{state}; finish it, or say --allow {UNFINISHED}")
    return f"allowed: {state}"
