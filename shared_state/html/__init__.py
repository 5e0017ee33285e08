"""The only room here that renders."""
