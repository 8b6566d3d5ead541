"""What `align doctor` looks at, one function a subject; each says what it found and never raises.

Libraries are asked for their version without importing them where that will do.
"""

import os
import platform
import shutil
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from align_cli.errors import AlignError

REQUIRED = (
    "torch", "transformers", "hydra-core", "omegaconf", "datasets", "accelerate", "safetensors",
    "math-verify", "pyarrow", "numpy", "scipy", "typer", "wandb",
)  # fmt: skip
ENOUGH_BYTES = 2 * 1024**3
"""Below this a run of a small model may fill the disk."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    subject: str
    state: Literal["ok", "note", "broken"]
    detail: str


def python() -> Finding:
    """The interpreter."""
    good = sys.version_info >= (3, 11)
    detail = f"{platform.python_version()} at {sys.executable}"
    return Finding("python", "ok" if good else "broken", detail if good else f"{detail}: 3.11+")


def libraries() -> list[Finding]:
    """Installed versions against the tested set, where that is at hand."""
    tested = _constraints()
    return [_library(name, tested.get(name)) for name in REQUIRED]


def _library(name: str, tested: str | None) -> Finding:
    try:
        installed = version(name)
    except PackageNotFoundError:
        return Finding(name, "broken", f"not installed: pip install {name}")
    if tested is not None and installed.partition("+")[0] != tested.partition("+")[0]:
        return Finding(name, "note", f"{installed}; tested with {tested} (constraints.txt)")
    return Finding(name, "ok", installed)


def _constraints() -> dict[str, str]:
    from align_cli.config.folders import conf_dir

    try:
        file = conf_dir().parent / "constraints.txt"
    except AlignError:
        return {}
    if not file.is_file():
        return {}
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    pairs = (line.partition("==") for line in lines)
    return {name.strip().lower(): pinned.strip() for name, equals, pinned in pairs if equals}


def configuration() -> list[Finding]:
    """Where conf/ is, and whether the defaults compose."""
    from align_cli.config.compose import compose
    from align_cli.config.folders import conf_dir

    try:
        found = Finding("conf", "ok", str(conf_dir()))
        return [found, Finding("defaults", "ok", f"compose to {compose([]).run_name()}")]
    except AlignError as error:
        return [Finding("conf", "broken", str(error))]


def disk(outputs: Path) -> list[Finding]:
    """Whether runs can be written, and how much room they have."""
    place = next(
        each for each in (outputs.absolute(), *outputs.absolute().parents) if each.exists()
    )
    free = shutil.disk_usage(place).free
    room = f"{free / 1024**3:.1f} GiB free at {place}"
    enough = Finding("disk", "ok" if free >= ENOUGH_BYTES else "note", room)
    try:
        with tempfile.TemporaryFile(dir=place):
            return [Finding("outputs", "ok", f"{outputs.absolute()} can be written"), enough]
    except OSError as error:
        return [Finding("outputs", "broken", f"{place}: {error.strerror}; outputs=FOLDER"), enough]


def device() -> list[Finding]:
    """What torch computes on by default."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return [Finding("device", "broken", f"torch cannot be imported: {error}")]
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} CPU cores"
    if torch.cuda.is_available():
        names = ", ".join(
            f"cuda:{index} {torch.cuda.get_device_name(index)}"
            for index in range(torch.cuda.device_count())
        )
    elif torch.backends.mps.is_available():
        names = "mps"
    else:
        names = "cpu (no accelerator is visible to torch)"
    return [Finding("device", "ok", names), Finding("threads", "ok", threads)]


def wandb() -> Finding:
    """Whether runs would be recorded online, and why; nothing is sent."""
    try:
        from align_cli.tracker.wandb_start import resolve

        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            mode = resolve("auto")
    except ImportError as error:
        return Finding("wandb", "broken", f"cannot be imported: {error}")
    asked = os.environ.get("WANDB_MODE")
    reason = "; ".join(str(each.message) for each in said)
    if asked:
        reason = reason or f"WANDB_MODE={asked}"
    elif mode == "online":
        reason = "credentials found, not verified"
    reason = reason or "no credentials; `wandb login` gives them"
    return Finding("wandb", "ok" if mode == "online" else "note", f"{mode}: {reason}")


def math_verifier() -> Finding:
    """One answer judged by math-verify in its own process, start included."""
    from align_cli.config.compose import compose
    from align_cli.rows import Completion, Message, Prompt

    prompt = Prompt(id="0" * 16, messages=(Message("user", "1/2?"),), gold="0.5", source="doctor")
    completion = Completion(
        prompt_id=prompt.id, index=0, text=r"\boxed{\frac{1}{2}}", token_ids=(0,), logps=(0.0,),
        finish="stop", policy="", author="current", kind="natural", corrects=None, messages=None,
        prompt_logp=None, prompt_tokens=1, seed=0, temperature=1.0, top_p=1.0, top_k=0,
        max_new_tokens=1,
    )  # fmt: skip
    begun = time.perf_counter()
    try:
        judge = compose(["verifier=math"]).bindings["verifier"].load()
        [label] = judge(prompts=[prompt], completions=[completion])
    except (AlignError, ImportError, OSError) as error:
        return Finding("math-verify", "broken", str(error))
    seconds = f"in {time.perf_counter() - begun:.1f} s, its process started"
    if label.right:
        return Finding("math-verify", "ok", f"1/2 = 0.5 {seconds}")
    return Finding("math-verify", "broken", f"{label.verdict}: {label.detail or label} {seconds}")
