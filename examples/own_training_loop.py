import torch

from autoloss_gym.weightings import SoftAdapt

inputs = torch.randn(256, 3) @ torch.randn(3, 10)
encoder, decoder = torch.nn.Linear(10, 3), torch.nn.Linear(3, 10)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
rule = SoftAdapt(beta=0.1, normalized=True)
for _ in range(500):
    code = encoder(inputs)
    losses = [(decoder(code) - inputs).square().mean(), 0.1 * code.abs().mean()]
    optimizer.zero_grad()
    rule(losses).backward()
    optimizer.step()
