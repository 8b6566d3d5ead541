"""How good a policy is: what to draw on held-out prompts, and what the answers amount to."""
