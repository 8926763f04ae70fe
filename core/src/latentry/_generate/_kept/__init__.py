"""What an engine keeps between requests: models with what is set on them, encoded prompts, and plans."""
