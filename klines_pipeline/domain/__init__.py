"""What the words mean: intervals, days, datasets, states, errors. Standard library only."""
