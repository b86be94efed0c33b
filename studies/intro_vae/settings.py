"""What the study compares."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ENV = "AutoLoss/IntroVAE-v0"
OFFICIAL_SIZE = 256  # height and width of the released settings' images
OFFICIAL = {"form": "released", "margin": 120.0, "alpha": 0.25}
OFFICIAL_RECONSTRUCTION = 0.05
ALPHAS = (0.05, 0.25, 1.0)
BETAS = (0.25, 1.0, 4.0)  # times the preset's
POINTS = 12  # of a curve; tables show four of them
FIXED, VAE, GRID_SIMILAR, GRID_SAMPLES = "fixed", "vae", "grid_ssim", "grid_frechet"


@dataclass(frozen=True)
class Row:
    """A line of the tables.

    Args:
        title: in the tables.
        policy: as evaluate.py has it.
        arms: of the task; see `IntroVAE`.
        task: its arguments beside those of all rows.
    """

    title: str
    policy: str
    arms: str = "parts"
    task: Mapping[str, Any] = field(default_factory=dict)


def weighted(reconstruction: float, height: int) -> dict[str, Row]:
    """Rows whose policies weigh the parts, by name.

    Args:
        reconstruction: the preset's β.
        height: of the images, which is their width.
    """
    ones = "fixed:1,1,1,1"  # α and β are within the parts
    rescaled = OFFICIAL_RECONSTRUCTION * (OFFICIAL_SIZE / height) ** 2
    official = {**OFFICIAL, "reconstruction": rescaled}
    kinds = {"loss-weighted": "", "original": ",original", "normalised": ",original,normalized"}
    units = {f"{reconstruction:g}": "β", "1": "pixels", f"{1 / height**2:g}": "mean"}
    raw = {"alpha": 1.0, "reconstruction": 1.0}
    return {
        FIXED: Row("fixed weights of the preset", ones),
        VAE: Row("plain VAE: α = 0", ones, task={"alpha": 0.0}),
        "official": Row(f"released settings, β = {rescaled:g}", ones, task=official),
        "official_margin": Row(
            f"the same, the preset's margin, β = {rescaled:g}",
            ones,
            task={name: value for name, value in official.items() if name != "margin"},
        ),
        **{
            f"introspective_{kind}_{name}": Row(
                f"SoftAdapt, {kind}, unit {unit}", f"introspective_softadapt:unit={unit}{option}"
            )
            for kind, option in kinds.items()
            for unit, name in units.items()
            if name != "mean" or not option
        },
        "softadapt": Row("SoftAdapt of all four parts", "softadapt:loss_weighted"),
        "equal": Row("equal weights: α = β = 1", ones, task=raw),
        "gradnorm": Row("GradNorm", "gradnorm"),
        "uncertainty": Row("uncertainties", "uncertainty"),
    }


def grid(reconstruction: float) -> Iterator[Row]:
    """Fixed weights, of which validation runs choose."""
    for alpha in ALPHAS:
        for times in BETAS:
            beta = times * reconstruction
            task = {"alpha": alpha, "reconstruction": beta}
            yield Row(f"α = {alpha:g}, β = {beta:g}", "fixed:1,1,1,1", task=task)


# Rows whose policies choose the player.
PLAYERS = {
    name: Row(f"players, {title}", policy, "players")
    for name, title, policy in (
        ("alternating", "1:1", "1:1"),
        ("encoder", "3:1 (encoder)", "3:1"),
        ("decoder", "1:3 (decoder)", "1:3"),
        ("balance", "balance", "balance"),
    )
}

# Replaces arguments of the preset where a study is only to show that it runs.
QUICK: Mapping[str, Any] = {
    "filters": 4,
    "latent_size": 4,
    "batch_size": 4,
    "num_held_out": 16,
    "num_test": 16,
    "validate_every": POINTS,
}
# Rows in colours in the picture.
SHOWN = {
    FIXED: "black",
    VAE: "#8a949e",
    "introspective_loss-weighted_β": "#c0392b",
    "introspective_loss-weighted_pixels": "#b9770e",
    "gradnorm": "#2471a3",
    "alternating": "#1e8449",
}
