"""What ``make bench`` runs: speed, latency and memory of the real processes, each beside its limit."""
