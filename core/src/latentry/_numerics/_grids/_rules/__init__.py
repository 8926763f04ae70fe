"""Rules that place levels by a formula of their own, one file each."""
