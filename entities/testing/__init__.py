"""For tests, ours and those of users: of agents, and of their recovery."""
