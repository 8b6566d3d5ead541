"""Preference learning where everything can be computed: a finite bandit, in float64.

What task, policy, engine, verifier and sampler of such a bandit are made of. It knows no loss.
"""
