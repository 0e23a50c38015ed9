"""How each exchange speaks, in and out: sans-IO, one file or folder per exchange."""
