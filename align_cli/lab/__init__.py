"""The exact lab: the trainer's own losses and the papers' theory, on bandits known exactly."""
