"""From an ordinary `nn.Module` and functions of one run to the batched functions of a task."""
