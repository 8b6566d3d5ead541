"""Words in, checked configurations out; whatever can be mistyped is refused by name."""

from pathlib import Path

import pytest

from align_cli.config.compose import compose, compose_sft, expand, jobs
from align_cli.config.reopened import reopen
from align_cli.config.schema import RunConfig
from align_cli.errors import ConfigError


def test_the_defaults_compose(world: Path) -> None:
    config = compose([])
    assert isinstance(config, RunConfig)
    assert config.bindings["loss"].settings == {"beta": 0.1, "label_smoothing": 0.0}
    assert config.bindings["loss"].needs == {"pairs", "ref_pairs"}
    assert config.bindings["evaluation"].settings == {"ks": (1, 4)}
    assert config.bindings["verifier"].settings == {"leaks": ()}
    assert config.bindings["verifier"].loop_settings == {"max_unscored": 0.01}
    assert config.choices["loss"] == "dpo"
    assert config.run_name().startswith("toy-toy-toy-dpo-s0-")


REFUSED = [
    (["lss=dpo"], ["lss", "'loss'"]),
    (["loss=dppo"], ["dppo", "'dpo'", "ipo"]),
    (["loss.bta=1"], ["loss.bta", "'beta'"]),
    (["+loss.bta=1"], ["loss.bta", "'beta'"]),
    (["++loss.bta=1"], ["loss.bta", "'beta'"]),
    (["ronuds=3"], ["ronuds", "no such key"]),
    (["sede=3"], ["sede", "'seed'"]),
    (["+sede=3"], ["sede", "'seed'"]),
    (["++sede=3"], ["sede", "'seed'"]),
    (["+lss.beta=3"], ["lss", "'loss'"]),
    (["experiment=root_typo"], ["ronuds", "root_typo"]),
    (["experiment=key_typo"], ["loss.beat", "'beta'"]),
    (["experiment=group_typo"], ["lss", "'loss'"]),
    (["experiment=choice_typo"], ["ippo", "'ipo'"]),
    (["experiment=hto"], ["hto", "'hot'"]),
    (["experiment=hot", "loss=dpo"], ["loss.tau", "dpo"]),
    (["loss._target_=os.system"], ["os.system", "toyparts."]),
    (["loss._target_=align_cli.seeds.derive"], ["align_cli.seeds.derive", "align_cli.loss."]),
    (["loss._target_=toyparts.parts.dppo"], ["dppo", "'dpo'"]),
    (["loss._target_=toyparts.prts.dpo"], ["toyparts.prts"]),
    (["loss._target_=toyparts.parts.greedy"], ["logits", "ref_pairs"]),
    (["loss._target_=toyparts.parts.swallow"], ["rest"]),
    (["loss._target_=3"], ["_target_"]),
    (["seed=abc"], ["seed", "abc"]),
    (["seed=1.5"], ["seed", "1.5"]),
    (["seed=null"], ["seed"]),
    (["loss.beta=[1,"], ["loss.beta=[1,"]),
    (["loss.beta=abc"], ["loss.beta", "abc", "float"]),
    (["loss.beta=0"], ["loss.beta", "0", "> 0", "1/nat"]),
    (["loss.beta=true"], ["loss.beta", "True", "float"]),
    (["loss.beta=null"], ["loss.beta", "null", "float"]),
    (["loss.beta=nan"], ["loss.beta", "nan"]),
    (["loss.beta=inf"], ["loss.beta", "inf"]),
    (["loss.beta.x=1"], ["loss.beta"]),
    (["loss.label_smoothing=0.5"], ["loss.label_smoothing", "[0, 0.5)"]),
    (["sampler.n=2.5"], ["sampler.n", "2.5", "int"]),
    (["sampler.n=1"], ["sampler.n", ">= 2"]),
    (["sampler.hint=3"], ["sampler.hint", "quote"]),
    (["engine.half=1"], ["engine.half", "bool"]),
    (["pairing.prefer=both"], ["pairing.prefer", "'natural', 'corrected'"]),
    (["evaluation.ks=3"], ["evaluation.ks", "tuple[int, ...]"]),
    (["evaluation.ks=[1,x]"], ["evaluation.ks", "int"]),
    (["schedule.ema=1.5"], ["schedule.ema", "(0, 1)"]),
    (["schedule.ema=x"], ["schedule.ema", "float | None"]),
    (["verifier.max_unscored=2"], ["verifier.max_unscored", "[0, 1]"]),
    (["~verifier.max_unscored"], ["verifier.max_unscored", "needs"]),
    (["~loss.beta"], ["loss.beta", "needs"]),
    (["~loss"], ["loss"]),
    (["~seed"], ["seed"]),
    (["~lss"], ["lss", "'loss'"]),
    (["loss=null"], ["loss", "dpo, ipo"]),
    (["loss=[dpo,ipo]"], ["loss", "dpo, ipo"]),
    (["loss@other=dpo"], ["loss@other"]),
    (["loss={beta: 1}"], ["loss"]),
    (["dpo"], ["loss=dpo"]),
    (["seed"], ["KEY=VALUE", "'seed'"]),
    (["loss=dpo,ipo"], ["loss=dpo,ipo", "-m"]),
    (["name=a/b"], ["name", "a/b"]),
    (["name=../x"], ["name"]),
    (["name=.x"], ["name", ".x"]),
    (["name=''"], ["name"]),
    (["outputs=''"], ["outputs"]),
    (["device=gpu"], ["device", "cuda"]),
    (["threads=0"], ["threads"]),
    (["plugins=[nowhere_at_all]"], ["nowhere_at_all", "PYTHONPATH"]),
    (["plugins=[a-b]"], ["a-b"]),
    (["plugins=toyparts"], ["plugins"]),
    (["loss.beta=${seeed}"], ["seeed"]),
    (["loss.beta=???"], ["loss.beta"]),
    (["loss=dpo", "loss=ipo"], ["loss"]),
    (["hydra.rnu.dir=x"], ["rnu"]),
    (["--config-dir", "nowhere"], ["nowhere"]),
    (["--mulitrun", "seed=1"], ["--mulitrun", "--multirun"]),
    (["--config-name", "nothing"], ["nothing"]),
    (["--cfg", "everything"], ["--cfg", "everything"]),
    (["-m", "seed=1,2", "name=same"], ["seed=1", "seed=2", "same"]),
    (["-m", "loss=dpo,ippo"], ["ippo", "'ipo'"]),
    (["-m", "loss=dpo,ipo", "loss.beta=0.1,0.2"], ["loss.beta", "ipo"]),
    (["-m", "seed=1,1"], ["seed=1"]),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=lambda each: " ".join(each)[:40])
def test_a_mistake_is_refused_and_names_what_was_meant(
    world: Path, words: list[str], said: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        jobs(words)
    message = str(caught.value)
    for each in said:
        assert each in message
    assert "use +" not in message
    assert "+loss" not in message
    assert "+sede" not in message
    assert "\n" not in message
    assert not (world / "outputs").exists()
    assert not (world / "multirun").exists()


ACCEPTED = [
    (["loss.label_smoothing=0.2"], "loss.label_smoothing", 0.2),
    (["+loss.label_smoothing=0.2"], "loss.label_smoothing", 0.2),
    (["+seed=4"], "seed", 4),
    (["loss.beta=1"], "loss.beta", 1.0),
    (["loss.beta=1e-3"], "loss.beta", 0.001),
    (["+loss=ipo"], "loss.tau", 0.2),
    (["loss=ipo", "loss.link=square"], "loss.link", "square"),
    (["experiment=hot"], "loss.tau", 0.9),
    (["experiment=hot", "loss.tau=0.3"], "loss.tau", 0.3),
    (["schedule.ema=0.9"], "schedule.ema", 0.9),
    (["verifier.leaks=[a,'b c']"], "verifier.leaks", ["a", "b c"]),
    (["sampler.hint='say {x}, \"y\"'"], "sampler.hint", 'say {x}, "y"'),
    (["loss.beta=${noise.flip}", "noise.flip=0.25"], "loss.beta", 0.25),
]


@pytest.mark.parametrize(("words", "key", "value"), ACCEPTED, ids=str)
def test_what_is_meant_is_done(world: Path, words: list[str], key: str, value: object) -> None:
    assert compose(words).identity()[key] == value


def test_the_choice_is_right_with_an_experiment(world: Path) -> None:
    config = compose(["experiment=hot"])
    assert config.choices["loss"] == "ipo"
    assert config.seed == 7
    assert "-ipo-s7-" in config.run_name()


def test_identity_is_the_science_and_nothing_else(world: Path) -> None:
    same = compose([])
    for words in (["name=x"], ["outputs=y"], ["tracker.project=z"], ["device=cpu"], ["threads=3"]):
        assert compose(words).identity() == same.identity()
    for words in (["seed=1"], ["loss.beta=0.2"], ["loss=ipo"], ["verifier.leaks=[a]"]):
        assert compose(words).identity() != same.identity()
    assert compose(["loss.beta=0.2"]).run_name() != same.run_name()
    assert compose(["name=mine"]).run_name() == "mine"


@pytest.mark.parametrize(
    "words",
    [[], ["experiment=hot"], ["loss.label_smoothing=1e-7"], ["sampler.hint='1e-7'"],
     ["sampler.hint='yes'"], ["sampler.hint='a ${x} b'"], ["sampler.hint='x: y # z\\n'"],
     ["name=n", "threads=2", "device=cpu"]],
    ids=str,
)  # fmt: skip
def test_the_saved_text_composes_to_the_same(world: Path, words: list[str]) -> None:
    if "${x}" in str(words):
        words = ["sampler.hint='a \\${x} b'"]
    config = compose(words)
    (world / "mine").mkdir()
    (world / "mine" / "again.yaml").write_text(config.as_yaml())
    assert compose([], "again", [world / "mine"]) == config
    assert reopen(world / "mine" / "again.yaml") == config


def test_a_warm_start_composes(world: Path) -> None:
    config = compose_sft(["train.steps=20"])
    assert config.bindings["train"].settings == {"steps": 20}
    assert config.seed == 5
    assert config.run_name().startswith("sft-toy-toy-s5-")
    (world / "mine").mkdir()
    (world / "mine" / "sft2.yaml").write_text(config.as_yaml())
    assert reopen(world / "mine" / "sft2.yaml") == config
    for words in (["train.stps=1"], ["loss=dpo"], ["train=x"], ["recipe=tinny"], ["train.steps=x"]):
        with pytest.raises(ConfigError):
            compose_sft(words)


def test_a_sweep_is_expanded_as_hydra_does(world: Path) -> None:
    assert len(expand(["-m", "loss=dpo,ipo", "seed=range(3)"])) == 6
    assert len(expand(["seed=1", "-m", "loss=glob(*)"])) == 2
    assert [job.config.seed for job in jobs(["-m", "seed=choice(4,2)"])] == [4, 2]


def test_a_primary_config_of_ones_own_may_be_a_sweep(world: Path) -> None:
    (world / "mine").mkdir()
    (world / "mine" / "grid.yaml").write_text(
        "defaults: [config, override loss: ipo, _self_]\n"
        "hydra: {mode: MULTIRUN, sweeper: {params: {loss.tau: '0.1,0.2', seed: 'range(2)'}}}\n"
    )
    found = jobs(["--config-dir", "mine", "--config-name", "grid"])
    assert [(each.config.identity()["loss.tau"], each.config.seed) for each in found] == [
        (0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1)
    ]  # fmt: skip


def test_a_choice_of_ones_own_lives_in_a_folder_of_ones_own(world: Path) -> None:
    folder = world / "my 'conf', here=1" / "loss"
    folder.mkdir(parents=True)
    (folder / "weird.yaml").write_text("# Weird.\n_target_: mine_weird.loss.weird\nbeta: 0.5\n")
    (world / "mine_weird").mkdir()
    (world / "mine_weird" / "loss.py").write_text(
        "def weird(pairs, *, beta: float):\n    'Weird.'\n    return beta\n"
    )
    words = ["--config-dir", str(folder.parent), "loss=weird"]
    with pytest.raises(ConfigError, match=r"plugins=\[mine_weird\]"):
        compose(words)
    config = compose([*words, "plugins=[mine_weird,toyparts]"])
    assert config.bindings["loss"].load()(pairs=1, ref_pairs=2) == 0.5
    (folder / "dpo.yaml").write_text("# Mine.\n")
    with pytest.raises(ConfigError, match="rename"):
        compose(words)
