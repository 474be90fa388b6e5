"""Which samples form which batch: the order of a split, cuts, balance, and how a saved state continues."""
