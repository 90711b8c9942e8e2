"""Check ports of a network, and this installation: cases, grades, diagnosis."""
