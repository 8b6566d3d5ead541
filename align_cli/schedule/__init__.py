"""The plan of a run: how many rounds, from which policies, and how each is optimised."""
