"""The jobs of kgp, one module each. `jobs/*.py` at the top and the `kgp` command run them with the same options."""
