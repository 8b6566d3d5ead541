"""pass@k: how often at least one of k answers is right."""


def pass_at_k(samples: int, right: int, k: int) -> float:
    """Chance that k of the `samples` answers, drawn without replacement, hold a right one.

        pass@k = 1 - C(n - c, k) / C(n, k) = 1 - prod_{i = n-c+1}^{n} (1 - k / i)

    With n = samples independent answers of which c = right are right, it is an unbiased estimate of
    1 - (1 - p)^k; with k = 1 it is c / n. Source: Chen et al. 2021, arXiv:2107.03374, eq. 1, and
    its product form, in which no factorial overflows.
    """
    if not 0 <= right <= samples:
        raise ValueError(f"{right} right of {samples} samples")
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} needs {k} samples or more, and k >= 1; got {samples} samples")
    none_right = 1.0
    for i in range(samples - right + 1, samples + 1):
        none_right *= 1 - k / i
    return 1 - none_right
