"""Sound files: found, read, converted and written, each output whole or absent."""
