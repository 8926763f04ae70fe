"""What ``generate`` has drawn: jobs, made of what was typed, of prompts in a file, or of a picture's settings."""
