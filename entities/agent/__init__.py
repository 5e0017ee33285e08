"""The agent loop: messages, the model protocol, providers, the prompt and the loop itself."""
