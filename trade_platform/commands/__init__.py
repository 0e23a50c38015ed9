"""The verbs of ``trade-platform``, one module for those that belong together; ``cli.py`` registers them."""
