"""Many pairs in one run, on one process or a cluster: a table of pairs, a folder a pair, a table of results."""
