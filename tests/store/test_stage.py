"""A stage is complete or absent, shared by fingerprint, and refuses bytes it did not write."""

import multiprocessing
import os
import time

import pytest

from align_cli.errors import CorruptStage
from align_cli.store.cost import Cost
from align_cli.store.stage import Stage, Store, write_text
from align_cli.training_rows import Pair

PAIRS = [
    Pair(prompt_id=f"p{n}", chosen=0, rejected=1, margin=1.0, kind="natural") for n in range(4)
]
FACTS = {"component": "x", "settings": {"n": 4}, "seed": 0}


def made(store: Store, facts=FACTS) -> Stage:
    stage = store.stage("pairs", facts)
    with stage.making():
        stage.write("pairs-00000", PAIRS[:2], Pair, Cost(generated_tokens=5, peak_bytes=7))
        stage.write("pairs-00001", PAIRS[2:], Pair, Cost(generated_tokens=6, peak_bytes=3))
        stage.finish(rows_in=5, rows_out=4, dropped={"all_right": 1}, metrics={"m": 0.5})
    return stage


def test_rows_and_record_come_back(tmp_path):
    stage = made(Store(tmp_path))
    assert stage.complete
    assert stage.read_all("pairs", Pair) == PAIRS
    record = stage.record
    assert (record.rows_in, record.rows_out, record.dropped) == (5, 4, {"all_right": 1})
    assert record.cost["generated_tokens"] == 11
    assert record.cost["peak_bytes"] == 7


def test_without_a_record_a_stage_is_not_complete_and_keeps_its_shards(tmp_path):
    stage = Store(tmp_path).stage("pairs", FACTS)
    with stage.making():
        stage.write("pairs-00000", PAIRS[:2], Pair, Cost())
    again = Store(tmp_path).stage("pairs", FACTS)
    assert not again.complete
    assert again.has("pairs-00000")
    assert not again.has("pairs-00001")


@pytest.mark.parametrize(
    "change", [{"component": "y"}, {"settings": {"n": 5}}, {"seed": 1}, {"settings": {"n": 4.5}}]
)
def test_every_fact_changes_the_place(tmp_path, change):
    store = Store(tmp_path)
    assert store.stage("pairs", FACTS).folder != store.stage("pairs", {**FACTS, **change}).folder


def test_order_of_facts_does_not_matter(tmp_path):
    store = Store(tmp_path)
    backwards = dict(reversed(FACTS.items()))
    assert store.stage("pairs", FACTS).folder == store.stage("pairs", backwards).folder


def test_equal_rows_have_equal_content_whatever_made_them(tmp_path):
    one, two = made(Store(tmp_path)), made(Store(tmp_path), {**FACTS, "seed": 9})
    assert one.fingerprint != two.fingerprint
    assert one.record.content == two.record.content


def test_a_changed_shard_is_refused(tmp_path):
    stage = made(Store(tmp_path))
    file = stage.folder / "pairs-00001.parquet"
    (stage.folder / "pairs-00000.parquet").replace(file)
    with pytest.raises(CorruptStage, match=r"pairs-00001\.parquet is not what was written"):
        stage.read("pairs-00001", Pair)
    with pytest.raises(CorruptStage, match="pairs-00000"):
        stage.read("pairs-00000", Pair)


def test_a_broken_record_is_refused(tmp_path):
    stage = made(Store(tmp_path))
    (stage.folder / "record.json").write_text('{"kind": ')
    with pytest.raises(CorruptStage, match="delete"):
        _ = stage.record


def test_a_write_that_dies_before_the_move_leaves_no_shard(tmp_path, monkeypatch):
    stage = Store(tmp_path).stage("pairs", FACTS)

    def die(*_):
        raise KeyboardInterrupt

    with stage.making():
        monkeypatch.setattr("os.replace", die)
        with pytest.raises(KeyboardInterrupt):
            stage.write("pairs-00000", PAIRS, Pair, Cost())
    assert not stage.has("pairs-00000")


def _hold(folder, started, seconds):
    stage = Store(folder).stage("pairs", FACTS)
    with stage.making():
        started.set()
        time.sleep(seconds)


@pytest.mark.parametrize("kill", [False, True], ids=["ends", "is killed"])
def test_the_lock_waits_for_its_holder_and_dies_with_it(tmp_path, kill):
    context = multiprocessing.get_context("fork")
    started = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, started, 60 if kill else 0.5))
    holder.start()
    started.wait(10)
    began = time.monotonic()
    if kill:
        holder.kill()
    with Store(tmp_path).stage("pairs", FACTS).making():
        waited = time.monotonic() - began
    holder.join()
    assert waited < 10
    assert kill or waited > 0.2


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    move = os.replace
    monkeypatch.setattr(os, "fsync", lambda number: done.append(os.fstat(number).st_ino))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append(b.name), move(a, b)))
    made(Store(tmp_path))
    files = [path for path in tmp_path.rglob("*") if path.name in done]
    assert len(files) == 3  # two shards and the record, which holds their costs
    for file in files:
        assert done[done.index(file.name) - 1] == file.stat().st_ino


def test_small_files_are_replaced_whole(tmp_path):
    write_text(tmp_path / "a.json", "one")
    write_text(tmp_path / "a.json", "two")
    assert [f.name for f in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "two"
