"""What lessons draw and let you move, by topic."""
