"""A composed configuration, checked and frozen: plain values, nothing of Hydra's."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

from omegaconf import OmegaConf

from align_cli.config.branch import Branch, digest_of, read_branch
from align_cli.config.build import Binding, bind
from align_cli.config.named import couples_examples
from align_cli.config.nearest import listed, meant
from align_cli.config.presets import SETTABLE
from align_cli.config.roots import SCALARS, RewardRoot, Root, RunRoot, SftRoot, groups_of
from align_cli.errors import ConfigError

UNSCIENTIFIC = frozenset({"tracker"})
"""Groups that change what is reported and nothing that is computed."""
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """What every command is configured by."""

    root: ClassVar[type[Root]]
    schema_name: ClassVar[str]

    name: str | None
    seed: int
    outputs: str
    device: str
    threads: int | None
    plugins: tuple[str, ...]
    branch: Branch | None
    """Where the first rounds come from; None if this run makes all of them."""
    bindings: Mapping[str, Binding]
    choices: Mapping[str, str]
    """{group: name of the chosen yaml}; a node without choices has no entry."""

    def identity(self) -> dict[str, Any]:
        """Everything that defines the science, flat: {"loss.beta": 0.1, "seed": 0, ...}.

        Where results are written, on which device and to whom they are reported is left out.
        """
        facts: dict[str, Any] = {"seed": self.seed}
        if self.branch is not None:
            # By what the other run is, not by its name: that differs from seed to seed.
            facts["branch.from"] = f"{self.branch.settings}@{self.branch.round}"
        for group, binding in self.bindings.items():
            if group not in UNSCIENTIFIC:
                facts[f"{group}._target_"] = binding.target
                facts.update(flat(group, {**binding.settings, **binding.loop_settings}))
        return facts

    def digest(self) -> str:
        """Six hex digits of the identity."""
        return digest_of(self.identity())

    def parts_of_name(self) -> tuple[str, ...]:
        """The choices that a derived name is made of."""
        raise NotImplementedError

    def run_name(self) -> str:
        """The folder under `outputs`: as given, or derived from choices, seed and identity."""
        if self.name is not None:
            return self.name
        words = "-".join(part.replace("/", "_") for part in self.parts_of_name())
        return f"{words}-s{self.seed}-{self.digest()}"

    def as_yaml(self) -> str:
        """The configuration as a primary config: it composes to this configuration again."""
        chosen = ({group: name} for group, name in self.choices.items())
        defaults = [self.schema_name, *chosen, "_self_", *self._settled()]
        values: dict[str, Any] = {"defaults": defaults}
        values |= {key: _plain(getattr(self, key)) for key in SCALARS if key != "branch"}
        if self.branch is not None:
            values["branch"] = asdict(self.branch)
        for group, binding in self.bindings.items():
            settings = {**binding.settings, **binding.loop_settings}
            values[group] = {"_target_": binding.target, **_plain(settings)}
        return OmegaConf.to_yaml(OmegaConf.create(_escaped(values)))

    def _settled(self) -> list[dict[str, str]]:
        """The last word on a group that another group's yaml may set, see config/presets.py."""
        return [{f"override {g}": self.choices[g]} for g in SETTABLE if g in self.choices]

    @classmethod
    def from_values(cls, values: Mapping[str, Any], choices: Mapping[str, str | None]) -> Self:
        """Check every key of a composed root (plain values) and bind every component."""
        groups = groups_of(cls.root)
        for key in values:
            if key not in (*SCALARS, *groups):
                raise ConfigError(
                    f"{key}: no such key{meant(key, (*SCALARS, *groups))}; "
                    f"the keys are {listed((*SCALARS, *groups))}"
                )
        if absent := [key for key in SCALARS if key not in values and key != "branch"]:
            raise ConfigError(f"{', '.join(absent)}: no value is given; wanted {absent[0]}=VALUE")
        bindings = {}
        for group in groups:
            node = values.get(group)
            if not isinstance(node, Mapping):
                raise ConfigError(f"{group}: got {node!r}, wanted a choice of conf/{group}/")
            choice = choices.get(group) or str(node.get("_target_", group)).rpartition(".")[2]
            bindings[group] = bind(node, group=group, choice=choice, plugins=values["plugins"])
        scalars = {key: values[key] for key in SCALARS if key != "branch"}
        made = cls(
            **{**scalars, "plugins": tuple(values["plugins"])},
            branch=read_branch(values.get("branch")),
            bindings=bindings,
            choices={group: bindings[group].choice for group in groups if group in choices},
        )
        made._check()
        return made

    def _check(self) -> None:
        if not DEVICE.fullmatch(self.device):
            raise ConfigError(
                f"device: got {self.device!r}, wanted auto, cpu, mps, cuda or cuda:NUMBER"
            )
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"threads: got {self.threads}, wanted 1 or more, or null")
        self._check_judges()
        if not self.outputs:
            raise ConfigError("outputs: got an empty text, wanted a folder")
        if self.name is not None and (not self.name or re.search(r"^\.|[/\\\0]", self.name)):
            raise ConfigError(
                f"name: got {self.name!r}, wanted one folder's name: no path separator, "
                "no leading dot (`outputs` says where the folder is)"
            )

    def _check_judges(self) -> None:
        """What tells only who is better, or judges otherwise each round, examines no policy."""
        if "verifier" not in self.bindings:
            return
        judges = {"verifier": self.bindings["verifier"], "examiner": self.examiner()}
        units = {name: binding.unit for name, binding in judges.items()}
        if units["examiner"] == "siblings":
            raise ConfigError(
                f"evaluation.verifier: verifier={judges['examiner'].choice} scores an answer "
                "against its siblings, so the mean of any policy is the same; name a verifier "
                "that judges answers one by one: evaluation.verifier=exact, or math, ..."
            )
        if "rubric" in judges["examiner"].needs:
            raise ConfigError(
                f"evaluation.verifier: verifier={judges['examiner'].choice} judges by another "
                "rubric from round to round, so scores of two rounds are not comparable; name a "
                "verifier that stays as it is: evaluation.verifier=exact, or math, llm_judge, ..."
            )
        if "earlier" in judges["examiner"].needs:
            raise ConfigError(
                f"evaluation.verifier: verifier={judges['examiner'].choice} weighs rewards anew in "
                "every round, so scores of two rounds are not comparable; name a verifier that "
                "stays as it is: evaluation.verifier=exact, or math, reward_model, ..."
            )

    def examiner(self) -> Binding:
        """Who judges held-out answers: `evaluation.verifier`, else the verifier itself."""
        node = self.bindings["evaluation"].loop_settings.get("verifier")
        if node is None:
            return self.bindings["verifier"]
        assert isinstance(node, Mapping), "a name is resolved where choices are known"
        name = str(node.get("_target_")).rpartition(".")[2]
        return bind(node, group="verifier", choice=name, plugins=self.plugins)

    def grouped(self, study: str) -> Self:
        """The same configuration, reported as one of a study's; a group that is given stays."""
        tracker = self.bindings["tracker"]
        if tracker.settings.get("group", study) is not None:
            return self
        settings = {**tracker.settings, "group": study}
        bindings = {**self.bindings, "tracker": replace(tracker, settings=settings)}
        return replace(self, bindings=bindings)

    def renamed(self, name: str) -> Self:
        """The same configuration under another folder's name."""
        return replace(self, name=name)


@dataclass(frozen=True, kw_only=True)
class RunConfig(Frozen):
    """One run of the loop."""

    root: ClassVar[type[Root]] = RunRoot
    schema_name: ClassVar[str] = "schema"

    def _check(self) -> None:
        super()._check()
        loss, schedule = self.bindings["loss"], self.bindings["schedule"].settings
        batch, micro = schedule.get("batch_size"), schedule.get("micro_batch_size")
        if micro != batch and couples_examples(loss.target):
            raise ConfigError(
                f"schedule.micro_batch_size: got {micro}, but under loss={loss.choice} the loss of "
                f"one depends on the others of its batch; wanted schedule.batch_size, {batch}"
            )

    def parts_of_name(self) -> tuple[str, ...]:
        """Task, policy, sampler and loss."""
        return tuple(self.choices[group] for group in ("task", "policy", "sampler", "loss"))


@dataclass(frozen=True, kw_only=True)
class SftConfig(Frozen):
    """One supervised warm start."""

    root: ClassVar[type[Root]] = SftRoot
    schema_name: ClassVar[str] = "sft_schema"

    def parts_of_name(self) -> tuple[str, ...]:
        """What is imitated by whom."""
        return ("sft", self.choices["demonstration"], self.choices["policy"])


@dataclass(frozen=True, kw_only=True)
class RewardConfig(Frozen):
    """One training of a reward model."""

    root: ClassVar[type[Root]] = RewardRoot
    schema_name: ClassVar[str] = "reward_schema"

    def parts_of_name(self) -> tuple[str, ...]:
        """What is learned from what, on which backbone."""
        return ("rm", *(self.choices[group] for group in ("preference", "objective", "policy")))


KINDS: Mapping[str, type[Frozen]] = {"demonstration": SftConfig, "preference": RewardConfig}
"""{a group that only one command has: its configuration}; a run has neither."""


def kind_of(keys: Iterable[str]) -> type[Frozen]:
    """Which command's configuration has these root keys."""
    return next((KINDS[key] for key in keys if key in KINDS), RunConfig)


def flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted keys and plain values of nested mappings."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(f"{prefix}.{name}", value)
        else:
            yield f"{prefix}.{name}", _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _escaped(value: Any) -> Any:
    """Values whose text holds `${` are literal: they were resolved before."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "\\${") if isinstance(value, str) else value
