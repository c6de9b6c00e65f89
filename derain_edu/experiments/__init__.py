"""Recorded runs, their statistics, and what they say about the claims of the notes."""
