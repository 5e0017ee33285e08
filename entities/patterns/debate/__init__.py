"""`debate`: the blackboard, two workers and a moderator."""
