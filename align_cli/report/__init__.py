"""What a person sees: live progress, the table by round, one run looked into."""
