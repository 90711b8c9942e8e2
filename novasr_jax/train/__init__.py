"""Training of the network's weights: ``python -m novasr_jax.train`` (extra ``train``)."""
