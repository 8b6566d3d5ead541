"""How far a verifier agrees with labels that are known."""
