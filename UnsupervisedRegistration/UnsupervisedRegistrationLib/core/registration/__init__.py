"""The registration of a pair: rules, stages and result."""
