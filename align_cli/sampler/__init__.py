"""Which draws are wanted: pure functions, asked again and again until they want nothing more."""
