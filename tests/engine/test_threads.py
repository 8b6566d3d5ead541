"""Waves on several threads: the same answers, in order, and one error ends all."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from align_cli.engine.native import native
from align_cli.engine.threads import work_through
from align_cli.errors import NonFinite


@pytest.fixture
def three_threads():
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(1)


def nothing(rows, tokens):
    pass


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_answers_are_the_same_bits_on_any_number_of_threads(family, tiny, ask, quiet, monkeypatch):
    monkeypatch.setattr(f"{native.__module__}.can_fork", lambda: False)
    model, call = tiny(family, torch.float32), ask(range(30), n=4)
    one = native(**call, model=model, advance=quiet, rows=20)
    torch.set_num_threads(3)
    assert native(**call, model=model, advance=quiet, rows=20) == one


def test_results_come_in_order_and_every_thread_works(three_threads):
    together = threading.Barrier(3, timeout=20)

    def work(job, advance):
        together.wait()
        time.sleep(0.01 * (3 - job % 3))
        return job, torch.get_num_threads()

    made = work_through(range(6), work, nothing, threads=3)
    assert made == [(job, 1) for job in range(6)]


def test_threads_left_over_share_the_products_of_few_jobs(three_threads):
    torch.set_num_threads(4)
    seen = work_through([0, 1], lambda job, advance: torch.get_num_threads(), nothing, threads=4)
    assert seen == [2, 2]


def test_a_single_job_runs_where_it_was_asked_for():
    made = work_through([0], lambda job, advance: threading.get_ident(), nothing, threads=3)
    assert made == [threading.get_ident()]


def test_the_number_of_threads_is_what_it_was(three_threads):
    def settings():
        with ThreadPoolExecutor(1) as pool:
            return torch.get_num_threads(), pool.submit(torch.get_num_threads).result()

    before = settings()
    work_through(range(4), lambda job, advance: None, nothing, threads=3)
    assert settings() == before
    with pytest.raises(ZeroDivisionError):
        work_through(range(4), lambda job, advance: 1 // 0, nothing, threads=3)
    assert settings() == before


def test_progress_is_told_by_one_thread_at_a_time():
    inside, most = 0, 0

    def advance(rows, tokens):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.001)
        inside -= 1

    def work(job, tell):
        for _ in range(10):
            tell(0, 1)

    work_through(range(8), work, advance, threads=4)
    assert most == 1


def test_the_first_error_ends_the_others():
    started = []

    def work(job, advance):
        started.append(job)
        if job == 1:
            raise NonFinite("job 1")
        for _ in range(2000):
            advance(0, 1)
            time.sleep(0.005)

    begin = time.perf_counter()
    with pytest.raises(NonFinite, match="job 1"):
        work_through(range(50), work, nothing, threads=2)
    assert time.perf_counter() - begin < 5
    assert len(started) < 5
