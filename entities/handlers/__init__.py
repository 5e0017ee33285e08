"""The types that ship: short, and meant to be copied."""
