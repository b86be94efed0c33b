"""Search for an algorithm's hyper-parameters, by several processes at once."""
