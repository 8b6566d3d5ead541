"""`from=RUN@ROUND`: the words of a run that begins with another run's first rounds.

    align run from=RUN@2 loss=squaredpo      # rounds 0 and 1 are RUN's; round 2 is made anew

The words stand for RUN's settings, which the other words of the command line replace. What the
finished rounds were asked and judged by (task, policy, verifier, evaluation) may not differ: the
run's configuration would say of them what is not so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from align_cli.config.branch import Branch, digest_of
from align_cli.config.nearest import listed, meant
from align_cli.config.reopened import reopen
from align_cli.config.schema import Frozen, RunConfig
from align_cli.config.values import word_of
from align_cli.config.words import Vocabulary, checked, parse_override
from align_cli.errors import ConfigError

HELD = ("task", "policy", "verifier", "evaluation")
"""Groups whose settings the finished rounds are described by."""
HARMLESS = ("verifier.max_unscored",)
"""It may stop a round, and changes none that is finished."""
OUTPUTS = "outputs"
WANTED = "wanted from=RUN@ROUND: a run's folder and the first round that is to be made anew"


@dataclass(frozen=True)
class Branched:
    """The words of one run, and what it branches from."""

    words: tuple[str, ...]
    parent: RunConfig | None = None
    folder: Path | None = None
    branch: Branch | None = None


def with_parent(words: Sequence[str], lexicon: Vocabulary) -> Branched:
    """The words with those of the run that they branch from before them, each key once."""
    given = {_key(word): word for word in words}
    if "branch" not in given:
        return Branched(tuple(words))
    text = str(parse_override(given.pop("branch")).value())
    if given.get("experiment", "experiment=null") != "experiment=null":
        raise ConfigError(
            f"from={text}: together with {given['experiment']} it is not plain which of the two "
            "decides; write out what should differ from the run"
        )
    folder, number = _place(text, given)
    parent = _opened(folder, text)
    seed = parse_override(given["seed"]).value() if "seed" in given else parent.seed
    if isinstance(seed, int) and seed != parent.seed:
        folder = _of_seed(folder, parent, seed, text)
        parent = _opened(folder, text)
    identity = {key: value for key, value in parent.identity().items() if key != "seed"}
    branch = Branch(folder.name, number, digest_of(identity))
    own = {_key(word): word for word in _words_of(parent, given, lexicon)}
    outputs = {"outputs": word_of("outputs", str(folder.parent))}
    return Branched(tuple({**own, **outputs, **given}.values()), parent, folder, branch)


def grown(config: Frozen, branched: Branched) -> Frozen:
    """The configuration with its branch, once it is clear that the branch can be made."""
    parent, branch, folder = branched.parent, branched.branch, branched.folder
    if parent is None or branch is None or folder is None:
        return config
    where = f"from={branch.run}@{branch.round}"
    for key, old, new in _differences(parent, config):
        raise ConfigError(
            f"{where}: {key} was {old} in the rounds that are taken over and would be {new} in "
            f"the configuration that describes them; leave {key} as it was, or begin a run of "
            "its own"
        )
    rounds = config.bindings["schedule"].settings.get("rounds")
    if isinstance(rounds, int) and rounds <= branch.round:
        raise ConfigError(
            f"{where}: schedule.rounds={rounds} leaves no round to make; wanted more than "
            f"{branch.round}"
        )
    last = f"round_{branch.round - 1:02d}"
    if not (folder / last / "6_scores.json").is_file():
        done = sum((each / "6_scores.json").is_file() for each in folder.glob("round_*"))
        raise ConfigError(
            f"{where}: {folder} has {done} finished rounds, wanted {branch.round}; finish it with "
            f"the words that began it (environment.json has them), or branch at {done} or before"
        )
    return replace(config, branch=branch)


def _place(text: str, given: Mapping[str, str]) -> tuple[Path, int]:
    run, at, number = text.rpartition("@")
    if not at or not run or not number.isdigit():
        raise ConfigError(f"from: got {text!r}; {WANTED}")
    if int(number) == 0:
        raise ConfigError(
            f"from={text}: no round lies before round 0; leave `from` out (equal stages are "
            "shared in any case)"
        )
    outputs = Path(str(parse_override(given["outputs"]).value()) if "outputs" in given else OUTPUTS)
    folder = Path(run) if "/" in run else outputs / run
    if not (folder / "config.yaml").is_file():
        known = [each.parent.name for each in sorted(folder.parent.glob("*/config.yaml"))]
        raise ConfigError(
            f"from={text}: no run {folder.name!r} in {folder.parent}{meant(folder.name, known)}; "
            f"there are {listed(known)}"
        )
    if "outputs" in given and folder.parent.resolve() != outputs.resolve():
        raise ConfigError(
            f"from={text}: the run lies in {folder.parent} and the new one would lie in {outputs}; "
            "a branch shares its run's store, so leave `outputs` out"
        )
    return folder, int(number)


def _opened(folder: Path, text: str) -> RunConfig:
    config = reopen(folder / "config.yaml")
    if not isinstance(config, RunConfig):
        raise ConfigError(f"from={text}: {folder} is a warm start, which has no rounds")
    return config


def _of_seed(folder: Path, parent: RunConfig, seed: int, text: str) -> Path:
    """The run that differs from the parent in the seed alone."""
    wanted = {**parent.identity(), "seed": seed}
    for file in sorted(folder.parent.glob("*/config.yaml")):
        # Warm starts lie beside runs, and folders of other versions may not open any more.
        if f"\nseed: {seed}\n" not in file.read_text(encoding="utf-8"):
            continue
        try:
            other = reopen(file)
        except ConfigError:
            continue
        if other.identity() == wanted:
            return file.parent
    raise ConfigError(
        f"from={text}: its rounds were made with seed {parent.seed}, and no run in {folder.parent} "
        f"has its settings with seed {seed}; make that one first, or leave seed={parent.seed}"
    )


def _words_of(parent: RunConfig, given: Mapping[str, str], lexicon: Vocabulary) -> list[str]:
    """The parent's settings as overrides, save those of groups that are chosen anew."""
    words = [word_of("seed", parent.seed), word_of("device", parent.device)]
    words += [word_of("threads", parent.threads), word_of("plugins", list(parent.plugins))]
    for group, binding in parent.bindings.items():
        if group in given:
            continue
        if group in parent.choices:
            words.append(word_of(group, parent.choices[group]))
        for key, value in {**binding.settings, **binding.loop_settings}.items():
            words.append(checked(word_of(f"{group}.{key}", value), lexicon))
    return words


def _differences(parent: RunConfig, config: Frozen) -> list[tuple[str, Any, Any]]:
    before, after = parent.identity(), config.identity()
    keys = sorted(
        key
        for key in before.keys() | after.keys()
        if key.split(".")[0] in HELD and key not in HARMLESS
    )
    absent = "(absent)"
    return [
        (key, before.get(key, absent), after.get(key, absent))
        for key in keys
        if before.get(key, absent) != after.get(key, absent)
    ]


def _key(word: str) -> str:
    return word.lstrip("+~").split("=")[0]
