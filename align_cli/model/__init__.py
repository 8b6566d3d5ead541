"""A language model in memory: text to tokens, tokens to log-probs, and its cost."""
