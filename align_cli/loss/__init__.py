"""What training minimises: pure functions from log-probs to a loss per pair."""
