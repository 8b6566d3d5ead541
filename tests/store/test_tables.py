"""Rows to Parquet and back, exactly, for every row type."""

import datasets
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_cli.errors import CorruptStage
from align_cli.rows import Completion, Label, Message, Prompt, Score
from align_cli.store.tables import read_rows, schema_of, write_rows
from align_cli.training_rows import (
    Group,
    GroupReference,
    MismatchReference,
    Pair,
    PairReference,
    Steps,
)

MESSAGES = (Message("user", "7+8"), Message("assistant", "7+8=16#16"), Message("user", "Again"))
TOLD = {"prompt_id": "p", "policy": "c", "prompt_tokens": 9}
ROWS = [
    Prompt(id="a" * 16, messages=MESSAGES, gold=None, source="s:1", stratum="2 steps"),
    Completion(
        **TOLD, index=3, text="7+8=15#15", token_ids=(1, 2, 50_256), logps=(-0.5, -1.25, -0.0),
        finish="stop", author="current", kind="corrected", corrects=1, messages=MESSAGES,
        prompt_logp=-3.75, seed=2**64 - 1, temperature=1.0, top_p=0.9, top_k=0, max_new_tokens=64,
    ),
    Completion(
        **TOLD, index=0, text="", token_ids=(7,), logps=(-2.0,), finish="length",
        author="initial", kind="natural", corrects=None, messages=None, prompt_logp=None,
        seed=0, temperature=0.0, top_p=1.0, top_k=5, max_new_tokens=1,
    ),
    Completion(
        **TOLD, index=4, text="7+8=15", token_ids=(1, 2, 4), logps=(-0.5, -1.25, -0.5),
        finish="stop", author="current", kind="natural", corrects=None, messages=None,
        prompt_logp=None, seed=3, temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=64,
        continues=3, kept_tokens=2, step_ends=(2,),
    ),
    Label(prompt_id="p", index=4, verdict="timeout", detail="5 s"),
    Label(prompt_id="p", index=0, score=1.0, right=True, answer="15", clean_score=0.0,
          clean_right=False),
    Pair(prompt_id="p", chosen=0, rejected=2, margin=1.5, kind="natural"),
    Pair(prompt_id="p", chosen=3, rejected=2, margin=0.1, kind="natural",
         steps=Steps(chosen_tokens=3, rejected_tokens=5, chosen_value=0.7, rejected_value=0.6,
                     chosen_visits=4, rejected_visits=1)),
    PairReference(prompt_id="p", round=1, chosen=0, rejected=2, chosen_logp=-9.1,
                  rejected_logp=-3.3),
    # 0.1 and -9.1 have no float32.
    Group(prompt_id="p", indices=(0, 1, 3), scores=(0.1, 1.0, -0.5), rights=(False, True, False)),
    Group(prompt_id="p", indices=(0, 1), scores=(0.1, 0.7), rights=None),
    GroupReference(prompt_id="p", round=2, indices=(0, 3), member_logps=(-9.1, -0.1)),
    MismatchReference(prompt_id="p", round=1, other_prompt_id="q", other_round=0, other_index=2,
                      logp=-31.7),
    Score(prompt_id="p", stratum="", greedy_right=None, samples=0, right=0, unscored=4,
          majority_right=None, length_tokens=3.5, truncated=1),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: type(row).__name__)
def test_a_row_comes_back_equal(row, tmp_path):
    write_rows(tmp_path / "rows.parquet", [row, row], type(row))
    assert read_rows(tmp_path / "rows.parquet", type(row)) == [row, row]


@pytest.mark.parametrize(
    "row_type", dict.fromkeys(type(row) for row in ROWS), ids=lambda t: t.__name__
)
def test_no_rows_come_back_as_no_rows(row_type, tmp_path):
    write_rows(tmp_path / "rows.parquet", [], row_type)
    assert read_rows(tmp_path / "rows.parquet", row_type) == []


def test_equal_rows_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        write_rows(
            tmp_path / name, [row for row in ROWS if isinstance(row, Completion)], Completion
        )
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_log_probs_survive_in_float32(tmp_path_factory, logps):
    file = tmp_path_factory.mktemp("rows") / "rows.parquet"
    row = Completion(
        prompt_id="p", index=0, text="", token_ids=tuple(range(len(logps))), logps=tuple(logps),
        finish="stop", policy="c", author="current", kind="natural", corrects=None, messages=None,
        prompt_logp=None, prompt_tokens=1, seed=5, temperature=1.0, top_p=1.0, top_k=0,
        max_new_tokens=9,
    )  # fmt: skip
    write_rows(file, [row], Completion)
    assert read_rows(file, Completion)[0].logps == tuple(logps)


def test_other_tools_read_the_file(tmp_path):
    rows = [row for row in ROWS if isinstance(row, Completion)]
    write_rows(tmp_path / "rows.parquet", rows, Completion)
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.schema.names == schema_of(Completion).names
    assert table.column("token_ids").to_pylist()[0] == [1, 2, 50_256]
    loaded = datasets.Dataset.from_parquet(
        str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path / "cache")
    )
    assert loaded[0]["messages"][0]["content"] == "7+8"


def test_a_damaged_file_is_named(tmp_path):
    file = tmp_path / "rows.parquet"
    write_rows(file, [ROWS[0]], Prompt)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(CorruptStage, match=r"rows\.parquet.*delete"):
        read_rows(file, Prompt)


def test_columns_of_another_row_type_are_refused(tmp_path):
    write_rows(tmp_path / "rows.parquet", [ROWS[0]], Prompt)
    with pytest.raises(CorruptStage, match="holds columns"):
        read_rows(tmp_path / "rows.parquet", Label)


def test_a_file_from_before_a_column_was_added_is_read(tmp_path):
    row = ROWS[1]
    write_rows(tmp_path / "rows.parquet", [row], Completion)
    added = ["continues", "kept_tokens", "step_ends"]
    table = pq.read_table(tmp_path / "rows.parquet").drop_columns(added)
    pq.write_table(table, tmp_path / "old.parquet")
    assert read_rows(tmp_path / "old.parquet", Completion) == [row]
    pq.write_table(table.drop_columns(["seed"]), tmp_path / "torn.parquet")
    with pytest.raises(CorruptStage, match="holds columns"):
        read_rows(tmp_path / "torn.parquet", Completion)
