"""Ids of the environments, and how to add one; imports neither PyTorch nor Stable-Baselines3."""

from typing import Any

import gymnasium
from gymnasium.envs.registration import ENV_ID_RE

from autoloss_gym.tools.names import shown

# Where the class of each id stands in `autoloss_gym.tasks`.
_PLACES = {
    "AutoLoss/Beale-v1": "surfaces.beale:Beale",
    "AutoLoss/ImageClassification-v0": "images.image_classification:ImageClassification",
    "AutoLoss/ImageGAN-v1": "images.image_gan:ImageGAN",
    "AutoLoss/IntroVAE-v0": "images.intro_vae:IntroVAE",
    "AutoLoss/LeastSquaresStepSize-v0": "step_sizes.least_squares:LeastSquaresStepSize",
    "AutoLoss/MLPClassification-v1": "supervised.mlp_classification:MLPClassification",
    "AutoLoss/MultiTaskTranslation-v0": "translation.multi_task_translation:MultiTaskTranslation",
    "AutoLoss/PINN-v0": "physics.pinn:PINN",
    "AutoLoss/QuadraticRegression-v1": "supervised.quadratic_regression:QuadraticRegression",
    "AutoLoss/QuadraticStepSize-v0": "step_sizes.quadratic:QuadraticStepSize",
    "AutoLoss/Rosenbrock-v1": "surfaces.rosenbrock:Rosenbrock",
    "AutoLoss/SparseAutoencoder-v1": "images.sparse_autoencoder:SparseAutoencoder",
}
TASKS = {id: f"autoloss_gym.tasks.{place}" for id, place in _PLACES.items()}
# Arguments that an id has by itself: here nothing but the step size is to be chosen.
_STEP_SIZE = {"control": "step_size", "add": ["step_size"]}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "AutoLoss/LeastSquaresStepSize-v0": _STEP_SIZE,
    "AutoLoss/QuadraticStepSize-v0": _STEP_SIZE,
}

# Former versions that can still be made: their successors, and the arguments that pay as they did.
# Version 0 paid nothing to a run that diverges.
OLDER = {id.replace("-v1", "-v0"): id for id in TASKS if id.endswith("-v1")}
_AS_VERSION_0 = {"reward_arguments": {"bounded": False}}


def register_task(id: str, task: str, **arguments: Any) -> None:
    """Make `gym.make(id)` and `gym.make_vec(id)` build environments of a task.

    Args:
        id: Gymnasium id, such as "My/Task-v0". Registering the same id and task again does nothing.
        task: "module:Class", or the name of a task or of a function that makes one; the module must
            be importable wherever the environment is made.
        arguments: default arguments of the environment and the task, plain JSON values.

    Raises:
        ValueError: the id is taken by something else or has not Gymnasium's form, or `task` is not
            of the form "module:Class".
    """
    module, _, name = task.partition(":") if isinstance(task, str) else ("", "", "")
    if not module or not name:
        raise ValueError(f"task={shown(task)}: expected 'module:Class'")
    if not (isinstance(id, str) and ENV_ID_RE.fullmatch(id)):
        raise ValueError(f"id={shown(id)}: expected a name such as 'My/Task-v0'")
    kwargs = {"task": task, **arguments}
    if id in gymnasium.registry:
        if gymnasium.registry[id].kwargs == kwargs:
            return
        raise ValueError(
            f"id={id!r} is registered already, with {gymnasium.registry[id].kwargs}; "
            "choose another version"
        )
    gymnasium.register(
        id=id,
        entry_point="autoloss_gym.environment.env:AutoLossEnv",
        vector_entry_point="autoloss_gym.environment.vector_env:AutoLossVectorEnv",
        kwargs=kwargs,
    )


def register_all() -> None:
    """Register the environments of this package."""
    for id, task in TASKS.items():
        register_task(id, task, **_ARGUMENTS.get(id, {}))
    for older, latest in OLDER.items():
        register_task(older, TASKS[latest], **_AS_VERSION_0)
