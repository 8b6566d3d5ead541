"""Which completions of one prompt are compared: pure functions from siblings to pairs."""
