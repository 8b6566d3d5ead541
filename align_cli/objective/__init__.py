"""What a reward model learns from pairs: pure functions from logits of both answers to losses."""
