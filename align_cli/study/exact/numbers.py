"""Numbers of an exact study as tables and pages show them."""

from align_cli.lab.reading import Value


def shown(value: Value) -> str:
    """Three figures; a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if value == 0:
        return "0"
    size = abs(value)
    if 1e-3 <= size < 1e4:
        return f"{value:.3g}"
    return f"{value:.2e}"
