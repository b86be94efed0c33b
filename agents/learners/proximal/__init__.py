"""Parts of PPO on tensors."""
