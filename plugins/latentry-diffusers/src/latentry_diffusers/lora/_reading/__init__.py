"""What is in the file of an adapter, what is written beside it, and both in words."""
