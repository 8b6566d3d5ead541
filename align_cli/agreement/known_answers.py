"""A file of questions with answers and known labels -> rows for a verifier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from align_cli.errors import ConfigError, RowError
from align_cli.rows import Completion, Prompt
from align_cli.table.example import example, golds
from align_cli.table.read import read_table
from align_cli.table.row import Row, field, text_of

QUESTIONS = ("question", "prompt", "problem", "messages")
GOLDS = ("gold", "ground_truth", "reference", "answer")
ANSWERS = ("completion", "response", "solution", "prediction", "text", "answer")
LABELS = ("is_correct", "correct", "right", "label")
"""Names that are looked for, in this order, where none is given."""
TRUTH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Fields:
    """Where a file holds what is needed; dots lead into objects."""

    question: str
    gold: str | None
    answers: tuple[tuple[str, str], ...]
    """(answer, whether it is right)"""


@dataclass(frozen=True, slots=True)
class Known:
    """An answer, and whether it is right; None where the file does not say."""

    prompt: Prompt
    completion: Completion
    right: bool | None
    place: str
    """`solutions.jsonl:3 6b_finetuning.solution`"""


def read_known(
    path: str,
    *,
    question: str | None,
    gold: str | None,
    gold_after: str | None,
    answers: Sequence[str],
    labels: Sequence[str],
) -> tuple[Fields, list[Known]]:
    """The fields that were read, and every answer of the file.

    Answers to one question are siblings, in the order of the file. An answer that is null or blank
    is skipped, as no row's lack of one is a judgement; a label that is null is unknown.
    """
    rows = read_table(path, None, config_name=None, revision=None)
    if not rows:
        raise RowError(f"{path} holds no row")
    fields = _fields(rows[0], question, gold, answers, labels)
    found: list[Known] = []
    siblings: dict[str, int] = {}
    for row, answer in zip(rows, golds(rows, fields.gold, gold_after), strict=True):
        asked = example(row, question_field=fields.question, instruction="", system="")
        prompt = Prompt(id=asked.key, messages=asked.messages, gold=answer, source=row.source)
        for answer_field, label_field in fields.answers:
            text = text_of(row, answer_field)
            if text is not None:
                index = siblings.get(prompt.id, 0)
                siblings[prompt.id] = index + 1
                place = f"{row.source} {answer_field}"
                known = _truth(row, label_field)
                found.append(Known(prompt, _completion(prompt, index, text), known, place))
    return fields, found


def _fields(
    row: Row,
    question: str | None,
    gold: str | None,
    answers: Sequence[str],
    labels: Sequence[str],
) -> Fields:
    if len(answers) != len(labels):
        raise ConfigError(
            f"verify: {len(answers)} --answer but {len(labels)} --label; give both for each answer "
            "of a row, in the same order"
        )
    question = question or _first(row.values, QUESTIONS)
    if question is None:
        raise ConfigError(f"verify: {row.place} has none of {_said(QUESTIONS)}; give --question")
    pairs = tuple(zip(answers, labels, strict=True))
    gold = gold or _first(row.values, GOLDS)
    return Fields(question, gold, pairs or _pairs(row, {question, gold}))


def _pairs(row: Row, taken: set[str | None]) -> tuple[tuple[str, str], ...]:
    """An answer and its label beside the question, or one of each in every object of the row."""
    free = {name: value for name, value in row.values.items() if name not in taken}
    found = [(_first(free, ANSWERS), _first(free, LABELS), "")]
    for name, value in free.items():
        if isinstance(value, Mapping):
            found.append((_first(value, ANSWERS), _first(value, LABELS), f"{name}."))
    pairs = tuple((inside + a, inside + b) for a, b, inside in found if a and b)
    if not pairs:
        raise ConfigError(
            f"verify: {row.place} has no answer ({_said(ANSWERS)}) with a label ({_said(LABELS)}), "
            f"nor an object that holds both; it has {_said(list(row.values))}. Give --answer and "
            "--label"
        )
    return pairs


def _first(values: Mapping[str, object], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in values), None)


def _said(names: Sequence[str]) -> str:
    return ", ".join(names)


def _truth(row: Row, name: str) -> bool | None:
    if field(row, name) is None:
        return None
    text = (text_of(row, name) or "").lower()
    if text not in TRUTH:
        raise RowError(f"{row.place}: label {name!r} is {text!r}, wanted true, false, 1, 0 or null")
    return TRUTH[text]


def _completion(prompt: Prompt, index: int, text: str) -> Completion:
    """A verifier reads the text; nobody sampled it, so the token is a placeholder."""
    return Completion(
        prompt_id=prompt.id, index=index, text=text, token_ids=(0,), logps=(0.0,), finish="stop",
        policy="recorded", author="recorded", kind="natural", corrects=None, messages=None,
        prompt_logp=None, prompt_tokens=0, seed=0, temperature=1.0, top_p=1.0, top_k=0,
        max_new_tokens=1,
    )  # fmt: skip
