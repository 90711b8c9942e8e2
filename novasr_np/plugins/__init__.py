"""The networks inside other programs; each plugin needs that program, and nothing else does."""
