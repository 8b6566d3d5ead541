"""Stages on disk: named by what they are made from, complete or absent, made once and shared."""
