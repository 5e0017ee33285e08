"""What a type and a tool are: pydantic in, JSON Schema out."""
