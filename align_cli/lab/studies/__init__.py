"""The lab's studies: what each computes, and how its numbers are read."""
