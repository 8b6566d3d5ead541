"""Randomness by name: the number drawn depends on what it is for, never on when it is drawn."""

import hashlib

import numpy as np
import numpy.typing as npt

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def derive(*names: int | str) -> int:
    """A 64-bit seed for the thing named, e.g. derive(run_seed, "draw", round, prompt_id, index).

    Names are joined with their types, so 1 and "1" differ, and so do ("ab", "c") and ("a", "bc").
    """
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def uniforms(keys_N: npt.NDArray[np.uint64], step: int) -> npt.NDArray[np.float64]:
    """The `step`-th uniform in [0, 1) of each stream: SplitMix64 read at a counter.

    Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators". Reading at a
    counter (not drawing in turn) makes token t of sample j the same at every batch size.
    """
    with np.errstate(over="ignore"):
        z = keys_N + np.uint64(step + 1) * GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
