"""Studies: a question, its grid of runs, their execution and their comparison."""
