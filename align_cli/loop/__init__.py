"""The loop: rounds of generate -> label -> pair -> train, every arrow a stage on disk."""
