"""Train NovaSR's weights: ``python -m novasr_jax.train`` (extra ``train``)."""
