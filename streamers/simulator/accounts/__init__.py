"""Accounts of the simulated exchanges: what they trade, hold and hear. The oracle of everything private."""
