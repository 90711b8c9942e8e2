"""Find, read, convert and write sound files; an output is either complete or absent."""
