"""What templates of both apps use."""
