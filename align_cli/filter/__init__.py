"""Which of a round's pairs are trained on: pure functions from pairs to reasons against them."""
