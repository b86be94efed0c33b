"""A task of one's own: find a signal of 50 numbers, most of them 0, from 40 noisy measurements."""

from dataclasses import dataclass

from autoloss_gym import GradientTask, Metric, Pair, random, register_task


@dataclass(frozen=True, kw_only=True)
class SparseSignal(GradientTask):
    max_steps: int = 300
    pairs = (Pair("fit", ("signal",)), Pair("sparsity", ("signal",)))  # two losses, one parameter
    validation_metrics = (Metric("held_out_error"),)
    score_metrics = (Metric("recovery_error", worst=100.0),)

    def make_data(self, keys):
        support = random.uniform(random.fold_in(keys.problem, "support"), (50, 1)) < 0.1
        signal = support * random.normal(random.fold_in(keys.problem, "values"), (50, 1))
        sensing = random.normal(random.fold_in(keys.problem, "sensing"), (60, 50))
        noise = random.normal(random.fold_in(keys.problem, "noise"), (60, 1))
        return {"signal": signal, "sensing": sensing, "measured": sensing @ signal + noise}

    def initial_parameters(self, keys):
        return {"signal": random.normal(random.fold_in(keys.run, "start"), (50, 1), 0.1)}

    def batch(self, data, keys):
        return data

    def losses(self):
        return {"fit": self.fit, "sparsity": lambda p, data: p["signal"].abs().sum((1, 2))}

    def fit(self, parameters, data):
        return self.errors(parameters, data)[:, :40].mean(1)

    def errors(self, parameters, data):
        return (data["sensing"] @ parameters["signal"] - data["measured"]).square().squeeze(2)

    def validation_values(self, parameters, data):
        return self.errors(parameters, data)[:, 40:].mean(1, keepdim=True)

    def score_values(self, parameters, data):
        return (parameters["signal"] - data["signal"]).square().sum(1)


register_task("Example/SparseSignal-v0", "sparse_signal:SparseSignal", learning_rate=1e-2)
