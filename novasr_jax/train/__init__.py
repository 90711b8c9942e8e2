"""Train weights of our networks: ``python -m novasr_jax.train`` (needs the extra ``train``)."""
