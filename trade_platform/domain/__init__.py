"""Pure rules and nouns: no I/O, no event loop, no clock."""
