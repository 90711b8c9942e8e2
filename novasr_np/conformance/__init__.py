"""Check other implementations of a network, and this one: cases, grades, diagnosis."""
