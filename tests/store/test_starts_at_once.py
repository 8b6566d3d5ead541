"""A hundred starts at the same moment: a folder for each run, and one run to a folder."""

import multiprocessing
from collections import Counter
from pathlib import Path

from align_cli.config.grid import compose_each
from align_cli.config.schema import RunConfig
from align_cli.errors import AlignError
from align_cli.store.run_folder import RunFolder

STARTS = 100


def started(configs: list[RunConfig], outputs: Path) -> Counter[str]:
    """How each start ended: a process each, all at one moment, each holding its folder until all
    have begun.
    """
    here = multiprocessing.get_context("fork")
    together, begun = here.Barrier(len(configs)), here.Barrier(len(configs))
    ended = here.SimpleQueue()

    def start(config: RunConfig) -> None:
        together.wait(60)
        try:
            with RunFolder.opened(
                outputs / config.run_name(),
                config_text=config.as_yaml(),
                identity=config.identity(),
                environment={"seed": config.seed},
            ) as folder:
                ended.put(folder.run_id)
                begun.wait(60)
        except AlignError as error:
            ended.put(str(error).rpartition("/")[2])
            begun.wait(60)

    processes = [here.Process(target=start, args=(config,)) for config in configs]
    for process in processes:
        process.start()
    found = Counter(ended.get() for _ in processes)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return found


def test_a_hundred_runs_get_a_hundred_folders(tmp_path: Path) -> None:
    words = [["tracker=none", f"seed={seed}"] for seed in range(STARTS)]
    configs = [config for config in compose_each(words) if isinstance(config, RunConfig)]
    ended = started(configs, tmp_path)
    assert len(ended) == STARTS
    folders = sorted(tmp_path.iterdir())
    assert len(folders) == STARTS
    for config in configs:
        folder = tmp_path / config.run_name()
        assert f"seed: {config.seed}\n" in (folder / "config.yaml").read_text()


def test_a_hundred_starts_of_one_run_are_one_run(tmp_path: Path) -> None:
    [config] = compose_each([["tracker=none", "seed=3"]])
    assert isinstance(config, RunConfig)
    ended = started([config] * STARTS, tmp_path)
    assert sorted(ended.values()) == [1, STARTS - 1]
    assert [said for said in ended if said.endswith("is being written by another process")]
    assert len(list(tmp_path.iterdir())) == 1
