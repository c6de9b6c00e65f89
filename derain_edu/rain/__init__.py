"""Synthetic rain: from numbers to streaks, from streaks to light, from light to a rainy picture."""
