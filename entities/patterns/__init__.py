"""The types that ship, a folder each, written as users write them and meant to be copied."""
