"""The use-cases, one function each; the command line and the orchestrator call the same ones."""
