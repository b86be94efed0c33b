"""Parts of the training of learned optimizers."""
