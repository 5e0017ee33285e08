"""For tests of recovery, ours and those of users."""
