"""The closed catalogue of events and its pure folds. No Django."""
