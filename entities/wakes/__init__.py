"""Reasons to run: asked for, claimed, leased, settled."""
