"""From words and yaml to checked, frozen configurations: the only package that knows Hydra."""
