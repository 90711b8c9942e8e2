"""Upsample whole datasets: a manifest's rows, workers that may die, a crash-safe log of results."""
