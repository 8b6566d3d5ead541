"""The settings that losses share, each with its range and unit; None is: not given."""

from typing import Annotated, Literal

Beta = Annotated[float, "> 0", "1/nat"]
Smoothing = Annotated[float | None, "[0, 0.5)", "share of pairs"]
Clip = Annotated[float | None, "(0, 80]", "nats"]
Scale = Annotated[float | None, "> 0", "1/score unit"]
Weight = Annotated[float | None, ">= 0", "1"]
Alpha = Annotated[float | None, "(0, 1]", "1"]
Target = Annotated[float | None, ">= 0", "1"]
Nats = Annotated[float | None, "> 0", "nats"]
ValueSign = Literal["optimism", "pessimism"] | None
ValueAnswers = Literal["chosen", "rejected", "both"] | None
