"""The page that `kgp report` writes: what it shows (`facts`), the figures, and the HTML. Nothing here reads a lake."""
