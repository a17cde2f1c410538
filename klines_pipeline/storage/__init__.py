"""Bytes at rest: where everything of the lake lies, and how it is published whole."""
