"""The temperature along a heated rod, found by a network that knows physics: three losses compete.

The rod takes up heat from a known source and loses some to the air: −u″ + loss·u = source. Its two
ends have known temperatures, and thermometers along it read with noise. The temperature to be
found, the loss to the air and the noise differ from problem to problem.
"""

import math
from dataclasses import dataclass

import torch

from autoloss_gym import GradientTask, Metric, Pair, random, register_task

UNITS = 16  # of the network's hidden layer


@dataclass(frozen=True, kw_only=True)
class HeatRod(GradientTask):
    max_steps: int = 300
    full_batch = True
    pairs = tuple(Pair(loss, ("network",)) for loss in ("equation", "ends", "thermometers"))
    validation_metrics = (Metric("held_out_error"),)
    score_metrics = (Metric("relative_error", worst=10.0),)

    def make_data(self, keys):
        streams = ("waves", "ends", "air", "noise", "readings")
        waves, ends, air, noise, readings = (random.fold_in(keys.problem, name) for name in streams)
        orders = torch.arange(1.0, 4.0, device=keys.problem.device)[:, None]
        waves = random.normal(waves, (3, 1)) / orders
        ends = random.normal(ends, (2,))
        loss = random.uniform(air, (1,), 0.0, 20.0)
        noise = random.uniform(noise, (1,), 0.02, 0.1)

        def places(count):
            return torch.linspace(0, 1, count, device=ends.device).expand(len(ends), count)

        def temperature(x, curved=False):
            factor = (orders * math.pi).square() if curved else 1.0  # curved: −u″ instead of u
            bent = (factor * waves * torch.sin(orders * math.pi * x[:, None])).sum(1)
            return bent if curved else bent + ends[:, :1] * (1 - x) + ends[:, 1:] * x

        inside, thermometers, everywhere = places(24), places(18)[:, 1:-1], places(101)
        return {
            "inside": inside,
            "loss": loss,
            "source": temperature(inside, curved=True) + loss * temperature(inside),
            "ends": places(2),
            "known": ends,
            "thermometers": thermometers,
            "readings": temperature(thermometers) + noise * random.normal(readings, (16,)),
            "everywhere": everywhere,
            "truth": temperature(everywhere),
        }

    def initial_parameters(self, keys):
        slopes, centres, outputs = (
            random.fold_in(keys.run, name) for name in ("slopes", "centres", "outputs")
        )
        slopes = random.normal(slopes, (UNITS, 1), 4.0)
        shifts = -slopes * random.uniform(centres, (UNITS, 1))
        outputs = random.normal(outputs, (UNITS, 1), 0.2)
        return {"network": {"slope": slopes, "shift": shifts, "output": outputs}}

    def batch(self, data, keys):
        return data

    def losses(self):
        return {
            "equation": self.equation_error,
            "ends": lambda p, data: self.errors(p, data, "ends", "known").mean(1),
            "thermometers": lambda p, data: self.reading_errors(p, data)[:, 0::2].mean(1),
        }

    def equation_error(self, parameters, data):
        temperature, curvature = network(parameters["network"], data["inside"])
        return (data["loss"] * temperature - curvature - data["source"]).square().mean(1)

    def reading_errors(self, parameters, data):
        return self.errors(parameters, data, "thermometers", "readings")

    def errors(self, parameters, data, places, target):
        return (network(parameters["network"], data[places])[0] - data[target]).square()

    def validation_values(self, parameters, data):
        return self.reading_errors(parameters, data)[:, 1::2].mean(1, keepdim=True)

    def score_values(self, parameters, data):
        error = self.errors(parameters, data, "everywhere", "truth").sum(1, keepdim=True)
        return (error / data["truth"].square().sum(1, keepdim=True)).sqrt()


def network(layers, places):
    """The temperature u and its second derivative u″ at `places` (num_envs, count)."""
    units = torch.tanh(layers["slope"] * places[:, None] + layers["shift"])
    bends = layers["slope"].square() * -2 * units * (1 - units.square())
    return (layers["output"] * units).sum(1), (layers["output"] * bends).sum(1)


register_task("Example/HeatRod-v0", "heat_rod:HeatRod", learning_rate=1e-2)
