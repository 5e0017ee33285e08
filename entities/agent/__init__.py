"""The agent loop: messages, the model protocol, providers, the window and the loop itself."""
