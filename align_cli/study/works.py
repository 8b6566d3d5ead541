"""The stages that a cell will need, as its configuration alone tells: which are shared, how large.

Each stage gets a key made of what it is made from, keys in place of bytes: two stages of one key
are the same stage and are made once. Stages that only turn out to have equal bytes (a noise that
flips nothing) are not foreseen, so a study never shares less than is said here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from align_cli.loop.known_places import KNOWN
from align_cli.loop.pool import bounds
from align_cli.schedule.across_rounds import trained_from
from align_cli.schedule.plan import NOT_TRAINING
from align_cli.store import fingerprint

if TYPE_CHECKING:
    from align_cli.config.build import Binding
    from align_cli.config.schema import RunConfig

ONE_PASS = tuple(
    f"align_cli.sampler.{name}.{name}"
    for name in ("best_of_n", "mixed", "contrast_modes", "directional")
)
"""Samplers that look at no label, so that their draws do not depend on verifier and noise."""
IN_THE_ROWS = {"pairs", "pair_labels", "tokens", "groups", "group_labels"}
"""Parameters of a loss that need no other policy."""


@dataclass(frozen=True)
class Work:
    """One numbered stage of a run."""

    round_number: int | None
    """None before the first round."""
    place: str
    """`2_completions`"""
    key: str
    units: float | None
    """What its cost grows with: draws, prompts, pairs times epochs; None where unknown."""
    share: float = 1.0
    """Of what this cell does at this place in this round; siblings are drawn in blocks."""


def works_of(config: "RunConfig") -> list[Work]:
    """Every stage of a run, in order."""
    return list(_Works(config))


def distinct(works: Iterable[Work]) -> dict[str, Work]:
    """{key: work}, each stage once."""
    found: dict[str, Work] = {}
    for work in works:
        found.setdefault(work.key, work)
    return found


def draws_per_prompt(config: "RunConfig") -> float | None:
    """How many draws a prompt gets: as set, or at most for one that looks at labels."""
    settings = config.bindings["sampler"].settings
    if "stops" in settings:  # Whole answers, and forced ones at every cut and at the beginning.
        n = float(settings["n"])
        return n + float(settings["stops"]) * (1 + n * float(settings["cuts"]))
    if "candidates" in settings:  # A pool, of which n are labelled.
        return float(settings["candidates"])
    if "n" in settings:
        mean = settings.get("mean_draws")
        return float(settings["n"] if mean is None else mean)
    if "explore" in settings:
        return float(settings["explore"]) + float(settings.get("steps", 1))
    return None


class _Works:
    def __init__(self, config: "RunConfig") -> None:
        self.config = config
        self.parts = config.bindings
        self.schedule = config.bindings["schedule"].load()()
        self.plan = asdict(self.schedule)
        self.size = _number(config.bindings["task"].settings.get("prompts_per_round"))
        self.exam = _number(config.bindings["task"].settings.get("heldout_prompts"))

    def key(self, *facts: Any) -> str:
        """Every draw depends on the seed, so every key does."""
        return fingerprint.of_value([self.config.seed, *facts])

    def part(self, group: str) -> list[Any]:
        facts = _facts(self.parts[group])
        if "outcome" in self.parts[group].needs:
            facts += _facts(self.config.examiner())
        return facts

    def __iter__(self) -> Iterator[Work]:
        exam = self.key("prompts", self.part("task"), "heldout")
        asked = [exam] if "prompts" in self.parts["policy"].needs else []
        policies = [self.key("policy", self.part("policy"), *asked)]
        yield Work(None, "5_policy", policies[0], 1)
        yield Work(None, "1_prompts", exam, self.exam)
        yield self._scores(None, exam, policies[0], [])
        history: list[str] = []
        trained = [policies[0]]
        branch = self.config.branch
        for number in range(0 if branch is None else branch.round):
            trained.append(self.key("branch", branch and asdict(branch), number))
            policies.append(trained[-1])
            history.append(self.key("pairs", trained[-1]))
        for number in range(len(history), int(self.plan["rounds"])):
            reference = self._reference(number, policies)
            prompts = self.key("prompts", self.part("task"), "train", number)
            yield Work(number, "1_prompts", prompts, self.size)
            author = policies[0] if self.plan["draw_from"] == "initial" else policies[-1]
            blocks = []
            for draws, answers, share in self._pool():
                writers = [author, *self._other_author(reference, policies)]
                drawn = self.key("draw", number, prompts, self.part("engine"), writers, draws)
                blocks.append((drawn, answers, share))
                yield Work(number, self._drawn_at(), drawn, self._times(answers), share)
                if "features" in self.parts["sampler"].needs:
                    seen = self.key("features", drawn, self.part("sampler"))
                    yield Work(number, "2_features", seen, self._times(answers))
            labels = []
            made_of = [self.part("verifier"), self.part("noise")]
            for drawn, answers, share in self._judged(blocks):
                labels.append(self.key("labels", drawn, made_of, number))
                yield Work(number, "3_labels", labels[-1], self._times(answers), share)
            pairs = self.key(
                "pairs", labels, self._draws(), self.part("pairing"), self.part("filter")
            )
            yield Work(number, "4_pairs", pairs, self.size)
            history.append(pairs)
            chosen = self._replayed(history)
            start = policies[trained_from(self.schedule, number)]
            known, tables = self._known(number, chosen, reference, start)
            yield from tables
            plan = {k: v for k, v in self.plan.items() if k not in NOT_TRAINING}
            made = [self.part("loss"), plan, chosen, known, start, number]
            if self.parts["loss"].needs - IN_THE_ROWS - KNOWN.keys():
                made += [reference, self.part("engine")]
            trained.append(self.key("policy", made))
            policies.append(self._handed_on(number, trained, history))
            epochs = float(self.plan["epochs"]) * len(chosen)
            yield Work(number, "5_policy", trained[-1], self._times(epochs))
            yield self._scores(number, exam, policies[-1], [reference, policies[0]])

    def _handed_on(self, number: int, trained: list[str], history: list[str]) -> str:
        """The policy that enters the next round, which may lie past the one that was trained."""
        if self.plan["extrapolation"] == 0 or number == 0:
            return trained[-1]
        ways = [self.plan[name] for name in ("extrapolation", "momentum", "restart")]
        scores = history if self.plan["restart"] != "never" else []
        return self.key("extrapolated", number, trained[-2:], ways, scores)

    def _known(
        self, number: int, chosen: list[str], reference: str, start: str
    ) -> tuple[list[str], list[Work]]:
        """Log-probs that stand still while a round trains; equal rows of one policy are one."""
        found: dict[str, Work] = {}
        for need, (place, whose, rows) in KNOWN.items():
            if need in self.parts["loss"].needs:
                policy = {"reference": reference, "start": start}[whose]
                key = self.key("reference", rows, chosen, policy)
                found.setdefault(key, Work(number, place, key, self._times(len(chosen))))
        return list(found), list(found.values())

    def _scores(self, number: int | None, exam: str, policy: str, against: list[str]) -> Work:
        judged = [self.part("engine"), self.part("evaluation"), _facts(self.config.examiner())]
        key = self.key("scores", exam, policy, against, judged)
        settings = self.parts["evaluation"].settings
        answers = _number(settings.get("samples"))
        if answers is not None:
            answers += bool(settings.get("greedy"))
        units = None if answers is None or self.exam is None else answers * self.exam
        return Work(number, "6_scores", key, units)

    def _pool(self) -> Iterator[tuple[Any, float | None, float]]:
        """Blocks of draws: what decides them, how many a prompt has, and their share of all.

        Where it is not known beforehand how many there will be, they are taken as one block.
        """
        draws = draws_per_prompt(self.config)
        if self.parts["sampler"].target not in ONE_PASS or draws is None:
            yield self._draws(), draws, 1.0
            return
        target, settings, loop_settings = self.part("sampler")
        alike = [target, {k: v for k, v in settings.items() if k != "n"}, loop_settings]
        for start, end in bounds(int(draws)):
            yield [alike, start, end], end - start, (end - start) / draws

    def _judged(
        self, blocks: list[tuple[str, float | None, float]]
    ) -> list[tuple[Any, float | None, float]]:
        """Blocks one by one, or all siblings together where the verifier asks for them."""
        if self.parts["verifier"].unit != "siblings":
            return list(blocks)
        return [([drawn for drawn, _, _ in blocks], draws_per_prompt(self.config), 1.0)]

    def _drawn_at(self) -> str:
        """Where answers lie that are not all judged, and where those that are."""
        return "2_pool" if "pool" in self.parts["sampler"].needs else "2_completions"

    def _other_author(self, reference: str, policies: list[str]) -> list[str]:
        """Whom a sampler asks besides the present policy."""
        other = self.parts["sampler"].settings.get("other")
        return [] if other is None else [reference if other == "reference" else policies[0]]

    def _draws(self) -> list[Any]:
        """What decides the draws, besides prompts and policy."""
        facts = self.part("sampler")
        if self.parts["sampler"].target not in ONE_PASS:
            facts += [*self.part("verifier"), *self.part("noise")]
        return facts

    def _reference(self, number: int, policies: list[str]) -> str:
        kind = self.plan["reference"]
        if kind == "previous":
            return policies[number]
        if kind == "every_m":
            return policies[number // int(self.plan["reference_every"])
                            * int(self.plan["reference_every"])]  # fmt: skip
        if kind == "ema" and number:
            return self.key("ema", self.plan["ema_decay"], policies)
        return policies[0]

    def _replayed(self, history: list[str]) -> list[str]:
        replay = self.plan["replay"]
        if replay == "last_k":
            return history[-1 - int(self.plan["replay_rounds"]) :]
        return list(history) if replay == "all" else history[-1:]

    def _times(self, count: float | None) -> float | None:
        return None if count is None or self.size is None else self.size * count


def _facts(binding: "Binding") -> list[Any]:
    return [binding.target, _plain(binding.settings), _plain(binding.loop_settings)]


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in settings.items()}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
