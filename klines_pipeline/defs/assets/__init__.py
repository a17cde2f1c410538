"""Assets of a dataset, and what the catalog and a run show of them."""
