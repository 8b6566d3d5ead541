"""Where the pairs come from that a reward model is trained on."""
