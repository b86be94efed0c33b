"""Every test checks the shapes and types that the package's annotations promise, and runs on one thread."""

import torch
from jaxtyping import install_import_hook

torch.set_num_threads(1)
install_import_hook("autoloss_gym", "beartype.beartype")
