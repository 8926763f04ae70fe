"""The values that fields of a request have, how they are typed, and their limits."""
