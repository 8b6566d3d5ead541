import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_cli.errors import AlignError, ConfigError, RowError
from align_cli.rows import Message
from align_cli.task.jsonl import jsonl

DEFAULTS: dict[str, Any] = {
    "heldout_path": None,
    "train_split": None,
    "heldout_split": None,
    "config_name": None,
    "revision": None,
    "question_field": "question",
    "gold_field": "answer",
    "gold_after": None,
    "stratum_field": None,
    "instruction": "",
    "system": "",
    "prompts_per_round": 4,
    "heldout_prompts": 2,
    "heldout_share": 0.2,
    "overlap": "refuse",
}


def ask(path: Path | str, split: str = "train", number: int = 0, seed: int = 0, **changes: Any):
    return jsonl(split, number, seed, path=str(path), **{**DEFAULTS, **changes})


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sums(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"question": f"{n}+1", "answer": n + 1} for n in range(start, start + count)]


@pytest.fixture
def table(tmp_path) -> Path:
    return write(tmp_path / "sums.jsonl", sums(40))


def test_a_prompt_says_where_it_comes_from(table):
    prompts = ask(table)
    assert len(prompts) == 4
    for prompt in prompts:
        number = int(prompt.messages[0].content.partition("+")[0])
        assert prompt.messages == (Message("user", f"{number}+1"),)
        assert prompt.gold == str(number + 1)
        assert prompt.source == f"sums.jsonl:{number + 1}"
        assert prompt.stratum == ""


def test_rounds_take_slices_of_one_permutation_and_then_a_fresh_one(tmp_path, table):
    other = {"heldout_path": str(write(tmp_path / "h.jsonl", sums(2, start=90)))}
    ids = [[p.id for p in ask(table, number=n, prompts_per_round=12, **other)] for n in range(9)]
    assert all(len(set(each)) == 12 for each in ids)
    # 40 questions give three rounds of 12; 4 are left over, and the fourth round starts anew.
    passes = [ids[start] + ids[start + 1] + ids[start + 2] for start in (0, 3, 6)]
    assert all(len(set(each)) == 36 for each in passes)
    assert len({tuple(each) for each in passes}) == 3
    assert len({frozenset(each) for each in passes}) == 3


def test_seeds_permute_the_training_questions_only(table):
    assert ask(table, seed=0) == ask(table, seed=0)
    assert [p.id for p in ask(table, seed=0)] != [p.id for p in ask(table, seed=1)]
    assert ask(table, "heldout", seed=0) == ask(table, "heldout", seed=1)
    assert ask(table, "heldout") == ask(table, "heldout", number=5)


def test_the_order_of_the_file_does_not_matter(tmp_path, table):
    shuffled = write(tmp_path / "other.jsonl", sums(40)[::-1])
    for split in ("train", "heldout"):
        assert [p.id for p in ask(table, split)] == [p.id for p in ask(shuffled, split)]


@settings(max_examples=20)
@given(st.floats(0.05, 0.95))
def test_the_share_held_out_is_decided_by_the_question(tmp_path_factory, share):
    path = write(tmp_path_factory.mktemp("share") / "t.jsonl", sums(300))
    with pytest.raises(ConfigError, match=r"heldout_prompts is 1000, .* there are \d+") as error:
        ask(path, "heldout", heldout_prompts=1000, heldout_share=share)
    held = int(str(error.value).split("there are ")[1].split()[0])
    assert abs(held - 300 * share) <= 4 * (300 * share * (1 - share)) ** 0.5
    # What is held out stays held out, whatever is added to the file or to the question.
    some = {p.source for p in ask(path, "heldout", heldout_prompts=held, heldout_share=share)}
    write(path, sums(600))
    more = {"prompts_per_round": 200, "heldout_share": share, "instruction": " Think."}
    if share < 0.6:
        assert not some & {p.source for p in ask(path, **more)}


def test_held_out_questions_from_a_file_or_split_of_their_own(tmp_path, table):
    other = write(tmp_path / "test.jsonl", sums(5, start=100))
    held = ask(table, "heldout", heldout_path=str(other), heldout_prompts=5)
    assert {p.source for p in held} == {f"test.jsonl:{n}" for n in range(1, 6)}
    assert len(ask(table, heldout_path=str(other), prompts_per_round=40)) == 40
    write(tmp_path / "train.jsonl", sums(40))
    splits = {"train_split": "train", "heldout_split": "test"}
    assert ask(tmp_path, "heldout", heldout_prompts=5, **splits) == held
    assert len(ask(tmp_path, prompts_per_round=40, **splits)) == 40


def test_overlap_is_refused_or_dropped_by_name(tmp_path, table):
    other = write(tmp_path / "test.jsonl", sums(10, start=35))
    with pytest.raises(ConfigError, match=r"5 of 40 .*overlap=drop_from_train"):
        ask(table, heldout_path=str(other))
    dropped = {"heldout_path": str(other), "overlap": "drop_from_train"}
    train = ask(table, prompts_per_round=35, **dropped)
    held = ask(table, "heldout", heldout_prompts=10, **dropped)
    assert len(train) == 35
    assert not {p.id for p in train} & {p.id for p in held}


def test_asking_for_too_much_names_both_numbers(table):
    with pytest.raises(ConfigError, match=r"prompts_per_round is 41, .* there are 3\d "):
        ask(table, prompts_per_round=41)


def test_repeated_questions_are_kept_once_and_counted(tmp_path, caplog):
    rows = [*sums(10), *sums(3), {"question": "0+1", "answer": 7}]
    path = write(tmp_path / "t.jsonl", rows)
    other = write(tmp_path / "h.jsonl", sums(2, start=50))
    with caplog.at_level(logging.WARNING):
        prompts = ask(path, prompts_per_round=10, heldout_path=str(other))
    assert {p.gold for p in prompts} == {str(n + 1) for n in range(10)}
    assert "4 of 14 questions occur again, 1 of them with another gold" in caplog.text


def test_fields_may_be_nested_joined_or_messages(tmp_path):
    other = write(tmp_path / "h.jsonl", [{"a": {"q": ["held"]}, "b": "out", "gold": {"v": 1}}])
    path = write(tmp_path / "t.jsonl", [{"a": {"q": ["How"]}, "b": "many?", "gold": {"v": 2.0}}])
    names = {"question_field": ("a.q.0", "b"), "gold_field": "gold.v", "stratum_field": "gold.v"}
    (prompt,) = ask(
        path, heldout_path=str(other), prompts_per_round=1, instruction=" Think.", **names
    )
    assert prompt.messages == (Message("user", "How many? Think."),)
    assert (prompt.gold, prompt.stratum) == ("2", "2")

    chat = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "2+2"},
    ]
    path = write(tmp_path / "c.jsonl", [{"chat": chat, "gold": None}, {"chat": chat[:1]}])
    prompts = ask(
        path,
        heldout_path=str(write(tmp_path / "h.jsonl", [{"chat": "x", "gold": 1}])),
        question_field="chat",
        gold_field=None,
        instruction="!",
        system="Be brief.",
        prompts_per_round=2,
    )
    long, short = sorted(prompts, key=lambda p: -len(p.messages))
    assert [m.content for m in long.messages] == ["Be brief.", "Hi", "Yes?", "2+2!"]
    assert [m.content for m in short.messages] == ["Be brief.", "Hi!"]
    assert long.gold is None


def test_the_gold_may_follow_a_marker(tmp_path):
    path = write(tmp_path / "t.jsonl", [{"question": "q", "answer": "1 #### 2 #### 3 \n"}])
    other = write(tmp_path / "h.jsonl", [{"question": "h", "answer": "#### 1"}])
    setting = {"heldout_path": str(other), "prompts_per_round": 1}
    assert ask(path, gold_after="####", **setting)[0].gold == "3"
    assert ask(path, gold_after=None, **setting)[0].gold == "1 #### 2 #### 3 \n"
    with pytest.raises(RowError, match=r"h\.jsonl:1.*no 'A:': '#### 1'"):
        ask(path, gold_after="A:", **setting)


def test_a_missing_gold_is_none_and_a_field_nobody_has_is_an_error(tmp_path):
    rows = [{"question": f"{n}", "answer": n} for n in range(4)]
    rows += [{"question": "null", "answer": None}, {"question": "absent"}]
    rows += [{"question": "blank", "answer": " "}]
    path = write(tmp_path / "t.jsonl", rows)
    other = write(tmp_path / "h.jsonl", [{"question": "h", "answer": 1}])
    prompts = ask(path, heldout_path=str(other), prompts_per_round=7)
    golds = {p.messages[0].content: p.gold for p in prompts}
    assert golds == {"0": "0", "1": "1", "2": "2", "3": "3"} | dict.fromkeys(
        ("null", "absent", "blank")
    )
    with pytest.raises(RowError, match=r"h\.jsonl:1 has no field 'anwser'.*mean 'answer'"):
        ask(path, heldout_path=str(other), gold_field="anwser")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{'question': 1}", r"t\.jsonl:2 is not JSON: Expecting property name"),
        (b'{"question": "2+2"', r"t\.jsonl:2 is not JSON"),
        (b"[1, 2]", r"t\.jsonl:2 is a list, wanted an object"),
        (b'{"question": "\xff"}', r"t\.jsonl:2 is not UTF-8"),
        (b'{"qestion": "x"}', r"t\.jsonl:2 has no field 'question'; it has qestion; did you mean"),
        (b'{"question": null}', r"t\.jsonl:2: the question in field 'question' is empty"),
        (b'{"question": {"a": 1}}', r"t\.jsonl:2: field 'question' is a dict.*question\.a"),
        (b'{"question": [{"role": "user"}]}', r"t\.jsonl:2: a message is"),
        (
            b'{"question": [{"role": "assistant", "content": "x"}]}',
            r"t\.jsonl:2: the last message is the assistant's",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"question": "1+1", "answer": 2}\n' + line + b"\n")
    with pytest.raises(RowError, match=message):
        ask(path)


def test_every_kind_of_file_says_the_same(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"question": f"{n} + 1, é", "answer": str(n + 1)} for n in range(30)]
    write(tmp_path / "t.jsonl", rows)
    (tmp_path / "t.json").write_text(json.dumps(rows), encoding="utf-8-sig")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, ["question", "answer"])
        writer.writeheader()
        writer.writerows(rows)
    asked = {
        kind: [(p.id, p.gold) for p in ask(tmp_path / f"t.{kind}", prompts_per_round=10)]
        for kind in ("jsonl", "json", "parquet", "csv")
    }
    assert all(each == asked["jsonl"] for each in asked.values())


def test_a_gold_that_is_not_a_number_in_a_column_of_numbers_is_missing(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {"question": ["a", "b", "c"], "answer": [1.0, float("nan"), None]}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    other = write(tmp_path / "h.jsonl", sums(2))
    prompts = ask(tmp_path / "t.parquet", heldout_path=str(other), prompts_per_round=3)
    assert sorted((p.messages[0].content, p.gold) for p in prompts) == [
        ("a", "1"),
        ("b", None),
        ("c", None),
    ]


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("question,answer\n1+1,2\n1+2\n")
    with pytest.raises(RowError, match=r"t\.csv:3 has fewer cells than the 2 columns"):
        ask(tmp_path / "t.csv")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(RowError, match=r"t\.parquet is not a Parquet file"):
        ask(tmp_path / "t.parquet")
    (tmp_path / "t.jsonl").write_text("\n")
    with pytest.raises(RowError, match=r"t\.jsonl holds no row"):
        ask(tmp_path / "t.jsonl")
    (tmp_path / "t.txt").write_text("1+1")
    with pytest.raises(RowError, match=r"t\.txt: unknown kind of file.*\.jsonl"):
        ask(tmp_path / "t.txt")


def test_a_folder_needs_a_split_and_a_file_has_none(tmp_path, table):
    with pytest.raises(RowError, match=r"is a folder; name a split.*sums\.jsonl"):
        ask(tmp_path)
    with pytest.raises(RowError, match=r"no file for the split 'train'; it has sums\.jsonl"):
        ask(tmp_path, train_split="train")
    with pytest.raises(RowError, match=r"is one file and has no split 'train'"):
        ask(table, train_split="train")
    with pytest.raises(ConfigError, match="config_name and revision are of hub data sets"):
        ask(table, config_name="main")


def test_a_path_that_is_not_there(tmp_path):
    for path in (tmp_path / "no.jsonl", "data/train.jsonl", "./data", "a/b/c"):
        with pytest.raises(RowError, match="no such file or folder"):
            ask(path)
    with pytest.raises(AlignError, match=r"'nobody/nothing' is no local file.*Without a network"):
        ask("nobody/nothing", train_split="train")
    with pytest.raises(AlignError, match="name one of its splits"):
        ask("nobody/nothing")


def test_a_data_set_of_the_hub(monkeypatch):
    import datasets

    def load(path: str, *, name: str | None, split: str, revision: str | None) -> Any:
        assert (path, name, revision) == ("owner/name", "main", "v1")
        return datasets.Dataset.from_list(sums(20) if split == "train" else sums(3, start=90))

    monkeypatch.setattr(datasets, "load_dataset", load)
    splits = {"train_split": "train", "heldout_split": "test"}
    hub = {"config_name": "main", "revision": "v1", **splits}
    assert len(ask("owner/name", prompts_per_round=20, **hub)) == 20
    sources = {p.source for p in ask("owner/name", "heldout", heldout_prompts=3, **hub)}
    assert sources == {"name:test:1", "name:test:2", "name:test:3"}


def test_svamp_joins_its_two_fields(shared_data):
    path = shared_data("svamp/test.jsonl")
    prompts = ask(
        path,
        "heldout",
        heldout_path=str(path),
        question_field=("Body", "Question"),
        gold_field="Answer",
        stratum_field="Type",
        heldout_prompts=1000,
    )
    assert all(prompt.gold.lstrip("-").isdigit() for prompt in prompts)
    first = next(prompt for prompt in prompts if prompt.source == "test.jsonl:1")
    assert first.messages[0].content.endswith("93 groups How big is each group of bananas?")
    assert (first.gold, first.stratum) == ("145", "Common-Division")


def test_college_math_is_readable(shared_data):
    path = shared_data("college_math/test.ccby.jsonl")
    setting = {"stratum_field": "data_topic", "prompts_per_round": 1000, "heldout_prompts": 80}
    prompts = ask(path, **setting, heldout_share=0.1)
    held = ask(path, "heldout", **setting, heldout_share=0.1)
    assert len({p.id for p in [*prompts, *held]}) == 1080
    assert all(p.gold and p.stratum.startswith("college_math.") for p in prompts)
