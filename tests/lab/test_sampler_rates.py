"""Uniform pairs converge linearly, mixed ones quadratically: the notes' table, to its digits."""

import pytest
from lab_losses import component

from align_cli.lab.sampler_rates import sampler_rates

TABLE = {
    "uniform": ["9.3e-01", "3.9e-02", "4.3e-03", "4.9e-04", "5.6e-05"],
    "dpo_mix_r": ["9.3e-01", "8.6e-02", "9.4e-04", "1.1e-07"],
    "dpo_mix_p": ["9.3e-01", "3.9e-02", "1.9e-04", "4.2e-09"],
}


@pytest.mark.parametrize("beta", [1.0, 0.1])
def test_the_notes_table(beta: float) -> None:
    found = sampler_rates(component("dpo", beta=beta), beta=beta)
    for name, wanted in TABLE.items():
        assert [f"{error:.1e}" for error in found[name]][: len(wanted)] == wanted
    # The notes have 1.4e-15 and 2.2e-16, which are rounding; so is what is found here.
    assert max(found["dpo_mix_r"][4], found["dpo_mix_p"][4]) < 1e-13
