"""FlashSR (arXiv 2501.10807): one step of diffusion takes any sound to 48 kHz."""
