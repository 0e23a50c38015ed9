"""The vault: opens what accounts sign with, signs, and writes down for whom. Nobody else holds a secret."""
