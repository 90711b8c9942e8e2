"""Whole datasets: rows from a manifest, workers that may die, and a crash-safe log of results."""
