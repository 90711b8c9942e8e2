"""The same layers, fast: several steps in a product, blocks for a cache, a folded activation."""
