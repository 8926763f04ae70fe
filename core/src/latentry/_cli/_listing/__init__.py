"""Listings of records: one line for each in a table that fits, and one record in prose."""
