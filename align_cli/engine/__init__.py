"""How tokens are produced: draws to completions, by one way of decoding."""
