"""What model families on diffusers' and transformers' networks have in common; nothing heavy is imported here."""
