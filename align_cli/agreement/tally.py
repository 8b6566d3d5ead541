"""Labels beside what is known: agreement, a table of confusion, and who disagrees."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from align_cli.agreement.known_answers import Known
from align_cli.rows import Label

KNOWN = {True: "right", False: "wrong", None: "unknown"}


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the answers of a file; counts of answers unless said otherwise."""

    confusion: dict[str, dict[str, int]]
    """{known: {said: count}}; said is right, wrong, graded, or why it is unscored."""
    disagreements: list[tuple[Known, Label]]
    ranked: dict[str, int]
    """Pairs of a right and a wrong sibling whose scores put them `rightly`, `wrongly`, `tied`."""

    @property
    def agreement(self) -> float | None:
        """Share that is said what it is known to be, of the judged whose truth is known."""
        both = self._count(("right", "wrong"), ("right", "wrong"))
        same = self.confusion["right"].get("right", 0) + self.confusion["wrong"].get("wrong", 0)
        return same / both if both else None

    @property
    def false_positive_rate(self) -> float | None:
        """Said right, of the judged that are wrong."""
        wrong = self._count(("wrong",), ("right", "wrong"))
        return self.confusion["wrong"].get("right", 0) / wrong if wrong else None

    @property
    def false_negative_rate(self) -> float | None:
        """Said wrong, of the judged that are right."""
        right = self._count(("right",), ("right", "wrong"))
        return self.confusion["right"].get("wrong", 0) / right if right else None

    @property
    def unscored(self) -> dict[str, int]:
        """Why answers were not judged, and how many."""
        counts: Counter[str] = Counter()
        for said in self.confusion.values():
            counts.update({k: n for k, n in said.items() if k not in ("right", "wrong", "graded")})
        return dict(sorted(counts.items()))

    @property
    def answers(self) -> int:
        """All of them."""
        return sum(sum(said.values()) for said in self.confusion.values())

    @property
    def pair_accuracy(self) -> float | None:
        """Share of the pairs whose right answer has the higher score; a tie is half of one."""
        count = sum(self.ranked.values())
        return (self.ranked["rightly"] + self.ranked["tied"] / 2) / count if count else None

    def _count(self, known: Sequence[str], said: Sequence[str]) -> int:
        return sum(self.confusion[k].get(s, 0) for k, s in product(known, said))


def tally(known: Sequence[Known], labels: Sequence[Label]) -> Tally:
    """The tally of labels that stand in the order of the answers."""
    confusion: dict[str, Counter[str]] = {name: Counter() for name in KNOWN.values()}
    disagreements = []
    for one, label in zip(known, labels, strict=True):
        confusion[KNOWN[one.right]][_said(label)] += 1
        if None not in (one.right, label.right) and one.right != label.right:
            disagreements.append((one, label))
    return Tally(
        {name: dict(sorted(counts.items())) for name, counts in confusion.items()},
        disagreements,
        _ranked(known, labels),
    )


def _said(label: Label) -> str:
    if label.score is None:
        return label.verdict
    return "graded" if label.right is None else KNOWN[label.right]


def _ranked(known: Sequence[Known], labels: Sequence[Label]) -> dict[str, int]:
    scores: dict[str, dict[bool, list[float]]] = defaultdict(lambda: {True: [], False: []})
    for one, label in zip(known, labels, strict=True):
        if one.right is not None and label.score is not None:
            scores[one.prompt.id][one.right].append(label.score)
    counts = {"rightly": 0, "wrongly": 0, "tied": 0}
    for sides in scores.values():
        for right, wrong in product(sides[True], sides[False]):
            order = "rightly" if right > wrong else "tied" if right == wrong else "wrongly"
            counts[order] += 1
    return counts
