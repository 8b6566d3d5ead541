"""Waves on several processes: the same answers, in order; one error ends all; none is left over."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from align_cli.engine.native import native
from align_cli.engine.processes import can_fork, fork_through
from align_cli.errors import AlignError, NonFinite

pytestmark = pytest.mark.skipif(not can_fork(), reason="forked processes are used on Linux only")


def nothing(rows, tokens):
    pass


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_answers_are_the_same_bits_in_any_number_of_processes(family, tiny, ask, quiet):
    model, call = tiny(family, torch.float32), ask(range(30), n=4)
    one = native(**call, model=model, advance=quiet, rows=20)
    seen = []
    torch.set_num_threads(3)
    try:
        many = native(**call, model=model, advance=lambda *told: seen.append(told), rows=20)
    finally:
        torch.set_num_threads(1)
    assert many == one
    assert sum(rows for rows, _ in seen) == 120
    assert sum(tokens for _, tokens in seen) == sum(len(out.token_ids) for out in one)


def test_results_come_in_order_from_processes_of_one_thread_each():
    def work(job, advance):
        time.sleep(0.03 * (3 - job % 3))
        advance(job, 0)
        return job, os.getpid(), torch.get_num_threads()

    told = []
    torch.set_num_threads(3)
    try:
        made = fork_through(range(6), work, lambda rows, tokens: told.append(rows), workers=3)
    finally:
        torch.set_num_threads(1)
    assert [job for job, _, _ in made] == list(range(6))
    assert len({pid for _, pid, _ in made}) == 3
    assert os.getpid() not in {pid for _, pid, _ in made}
    assert {threads for _, _, threads in made} == {1}
    assert sorted(told) == list(range(6))


def test_the_first_error_ends_the_others_and_leaves_no_process():
    started = []

    def work(job, advance):
        advance(job, os.getpid())
        if job == 48:
            raise NonFinite("job 48")
        time.sleep(60)

    with pytest.raises(NonFinite, match="job 48"):
        fork_through(range(50), work, lambda job, pid: started.append((job, pid)), workers=2)
    assert sorted(job for job, _ in started) in ([48, 49], [48])
    assert not any(running(pid) for _, pid in started)


def test_an_error_that_is_not_ours_says_where_it_was_raised():
    def work(job, advance):
        return 1 // job

    with pytest.raises(ZeroDivisionError) as caught:
        fork_through([0, 1], work, nothing, workers=2)
    assert any("return 1 // job" in note for note in caught.value.__notes__)


def test_a_process_that_is_killed_is_an_error_that_says_so():
    def work(job, advance):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(AlignError, match=r"exit code -9.*lower engine\.rows"):
        fork_through([0, 1], work, nothing, workers=2)


def test_processes_die_with_the_one_that_started_them():
    code = (
        "import os, sys, time\n"
        "from align_cli.engine.processes import fork_through\n"
        "def work(job, advance):\n"
        "    advance(os.getpid(), 0)\n"
        "    time.sleep(60)\n"
        "fork_through([0, 1], work, lambda pid, _: print(pid, flush=True), workers=2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        pids = [int(run.stdout.readline()) for _ in range(2)]
        assert all(running(pid) for pid in pids)
        run.kill()
    deadline = time.monotonic() + 10
    while any(running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(running(pid) for pid in pids)
