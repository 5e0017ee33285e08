"""What the agents' templates use."""
