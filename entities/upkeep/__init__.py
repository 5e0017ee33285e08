"""What keeps an installation small and sound over years: pruning, archiving, and the doctor."""
