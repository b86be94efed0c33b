"""Every place on the way of a step where the host waits for the device, or seems to, and why."""

from dataclasses import dataclass

from tests.support.paths import ROOT

PACKAGE = ROOT / "autoloss_gym"
_LEARNERS = "../agents/learners/"  # of which those are looked at that stay on a device
_FOLDERS = (
    "core", "tasks", "losses", "networks", "optimizers", "signals", "environment", "controls",
    "controllers", "weightings", "scoring", "data",
)  # fmt: skip
# Files and pictures of the host, which are read and drawn without a device; policies, which decide
# on the host, and what drives a loop of one's own with them.
_ON_THE_HOST = (
    "controllers/controller.py",
    "controllers/files.py",
    "controllers/loops/",
    "controllers/policies/",
    "controllers/policy.py",
    "controllers/scheduler.py",
    "data/archives.py",
    "data/binary_images.py",
    "data/files.py",
    "data/image_files.py",
    "data/images.py",
    "data/named_images.py",
    "data/picture_folders.py",
    "data/resizing.py",
    "data/tables/",
    "environment/field_drawing.py",
    "scoring/classifiers/storage.py",
    "scoring/translations.py",
)


def modules_of_a_step() -> list[str]:
    """Files of the package that a step, or the reset within it, may run."""
    paths = [path for folder in _FOLDERS for path in sorted((PACKAGE / folder).rglob("*.py"))]
    paths += [PACKAGE / "random.py", PACKAGE / "tools/tree.py", PACKAGE / "tools/compiling.py"]
    names = [path.relative_to(PACKAGE).as_posix() for path in paths]
    learner = sorted((PACKAGE / _LEARNERS / "proximal").glob("*.py"))
    names += [
        f"{_LEARNERS}distributions.py",
        f"{_LEARNERS}tensor_ppo.py",
        *(f"{_LEARNERS}proximal/{path.name}" for path in learner),
    ]
    return [name for name in names if not name.startswith(_ON_THE_HOST)]


@dataclass(frozen=True)
class KnownWait:
    """A place, what the look finds there, and why it may stand.

    Args:
        file: of the package.
        function: with its class.
        kinds: of all waits in it, in order, see `tests.support.host_waits`.
        reason: of the wait, or why it is none.
        waits: whether the host waits for the device here.
    """

    file: str
    function: str
    kinds: str
    reason: str
    waits: bool = True


def _none(file: str, function: str, kinds: str, reason: str) -> KnownWait:
    return KnownWait(file, function, kinds, reason, waits=False)


_ONCE = "constants, sent once for a device and then kept"
_RESET = "at a reset: the host says which runs begin, and with which seeds"
_NUMPY = "a NumPy array of the host"
_NUMBERS = "losses given as numbers or as an array"
_CPU = "asked only where the values are on the CPU"
KNOWN_WAITS = (
    # In steps and validations.
    KnownWait(
        "environment/programs.py", "_known", "cpu numpy",
        "the one wait of a validation: the host must know which runs end",
    ),
    KnownWait(
        "environment/runs.py", "mask_on", "upload",
        "only where a mask differs between the runs: some are validated, end or are reset",
    ),
    KnownWait(
        "environment/runs.py", "on_rows", "condition upload",
        "only where some runs alone are validated or scored; the mask is of the host",
    ),
    KnownWait(
        "environment/infos.py", "Reporter.output", "cpu numpy", "array='numpy': what it is for",
    ),
    KnownWait(
        "controls/choose_pair.py", "ChoosePair.__call__", "upload", "actions of the host",
    ),
    KnownWait(
        "controls/choose_pair.py", "ChoosePair._with_step_size", "upload upload",
        "actions of the host",
    ),
    KnownWait(
        "controls/scale_step.py", "ScaleStep._factors", "upload", "actions of the host",
    ),
    KnownWait(
        "controls/hold_schedule.py", "HoldSchedule.shifts", "upload",
        "actions of the host",
    ),
    KnownWait(
        "environment/decisions.py", "Decisions.play", "upload",
        "only where runs are at different decisions, because some have ended early",
    ),
    KnownWait(
        "environment/segments.py", "_on", "upload", "only where runs end before a segment does",
    ),
    KnownWait(
        "environment/played.py", "Played.take", "upload",
        "only where runs are at different decisions, because some have ended early",
    ),
    KnownWait("environment/batch.py", "Batch.act_by", "cpu numpy", "only where an actor has failed"),
    KnownWait("environment/vector_env.py", "AutoLossVectorEnv.act", "upload", "arrays of the host"),
    KnownWait("controls/checks.py", "numbers", "upload", "actions of the host"),
    KnownWait(
        "scoring/sample_scores.py", "frechet_distance", "linalg",
        "eigenvalues: PyTorch asks whether they were found. At the end of a run, and at "
        "validations of images without labels",
    ),
    # At resets, or once in a process.
    KnownWait("environment/instances.py", "Instances.next_episode", "upload upload upload", _RESET),
    KnownWait("environment/instances.py", "_mask", "condition", "a caller's own mask, brought to the host"),
    KnownWait("environment/runs.py", "replaced", "upload", _RESET),
    KnownWait("environment/batch.py", "Batch._begun", "upload upload", _RESET),
    KnownWait(
        "core/modules/models.py", "on_host", "cpu tolist",
        "at a reset: a user's functions make the modules and data on the host, from these seeds",
    ),
    KnownWait("tasks/surfaces/surface.py", "Surface.initial_parameters", "upload", _RESET),
    KnownWait(
        "tasks/step_sizes/spectra.py", "_wishart", "linalg",
        "eigenvalues at a reset: PyTorch asks whether they were found",
    ),
    KnownWait("data/clusters.py", "ClusterProblems._corners", "upload upload upload", _RESET),
    KnownWait("data/resampled_tables.py", "resampled_classification", "upload", _RESET),
    KnownWait("data/resampled_tables.py", "_table_on", "upload upload", _ONCE),
    KnownWait("data/partition.py", "partition_on", "upload", _ONCE),
    KnownWait("data/table_families.py", "stacked", "upload " * 5, _ONCE),
    KnownWait("data/table_families.py", "_counts", "upload", _ONCE),
    KnownWait("data/image_source.py", "ImageSource.pixels_on", "upload", _ONCE),
    _none("data/sentences/corpus_source.py", "CorpusSource.lengths", "number", "arrays of the host"),
    KnownWait("data/sentences/corpus_source.py", "CorpusSource._table", "upload", _ONCE),
    KnownWait("data/sentences/corpus_source.py", "CorpusSource._parts", "upload", _ONCE),
    KnownWait("data/sentences/grammar.py", "_grammar", "upload", _ONCE),
    KnownWait("data/sentences/lexicon.py", "_table", "upload", _ONCE),
    KnownWait("scoring/image_quality/scene_statistics.py", "_shapes_on", "upload", _ONCE),
    KnownWait("tasks/translation/figures.py", "counts_on", "upload", _ONCE),
    KnownWait(
        "tasks/translation/figures.py", "_bleu", "upload", "at the end of a run: BLEU is the host's"
    ),
    KnownWait(
        "tasks/translation/figures.py", "_texts", "tolist",
        "at the end of a run, for BLEU, and where a user looks at translations",
    ),
    KnownWait(
        "tasks/physics/pinn.py", "PINN.fields", "cpu numpy cpu numpy",
        "where a user looks at solutions",
    ),
    KnownWait("data/image_source.py", "ImageSource.labels_on", "upload", _ONCE),
    KnownWait("optimizers/adam.py", "_constants", "upload " * 5, _ONCE),
    _none("optimizers/adam.py", "Adam.update", "condition number", _CPU),
    _none("optimizers/adam.py", "_pieces", "nonzero tolist", _CPU),
    KnownWait("optimizers/learned.py", "_decays", "upload upload", _ONCE),
    KnownWait("optimizers/learned.py", "_row", "upload", _ONCE),
    KnownWait("optimizers/learned_network.py", "_times_on", "upload", _ONCE),
    KnownWait(
        "optimizers/learned.py", "_as_numbers", "cpu tolist", "once, when the optimizer is made",
    ),
    KnownWait("controls/schedule.py", "_knots", "upload", _ONCE),
    KnownWait("tasks/step_sizes/quadratic.py", "_row", "upload", _ONCE),
    KnownWait("signals/features.py", "_scale_columns", "upload upload upload", _ONCE),
    KnownWait("weightings/scaling.py", "row", "upload", _ONCE),
    KnownWait("weightings/softadapt.py", "_coefficients", "upload upload", _ONCE),
    KnownWait("weightings/time_schedule.py", "_table", "upload", _ONCE),
    # In a training by PPO on tensors.
    KnownWait(f"{_LEARNERS}proximal/episodes.py", "Episodes.take", "cpu numpy mask tolist", "once a rollout, to log"),
    KnownWait(
        f"{_LEARNERS}tensor_ppo.py", "TensorPPOLearner._log_update", "item tolist",
        "once a rollout, to log",
    ),
    KnownWait(
        f"{_LEARNERS}proximal/updates.py", "_goes_too_far", "item",
        "only with target_kl, which ends an update by what it reads",
    ),
    _none(f"{_LEARNERS}distributions.py", "distribution_of", "number", "of a space"),
    # Where a caller asks for something on the host.
    KnownWait("environment/pictures.py", "Pictures.draw", "cpu numpy", "a picture of samples"),
    KnownWait("environment/rendering.py", "Trace.record", "cpu numpy " * 3, "render_mode is given"),
    KnownWait("weightings/boundary/losses.py", "as_tensor", "upload", _NUMBERS),
    KnownWait("weightings/boundary/losses.py", "_stacked", "upload", _NUMBERS),
    KnownWait("weightings/boundary/losses.py", "_scalars", "upload", _NUMBERS),
    KnownWait(
        "weightings/boundary/notices.py", "Notices.tell", "number",
        "when a rule on a device is reset or saved",
    ),
    KnownWait(
        "weightings/boundary/saving.py", "_calls", "tolist", "when the state of a rule is loaded",
    ),
    KnownWait(
        "weightings/boundary/saving.py", "_read", "tolist", "when the state of a rule is loaded",
    ),
    KnownWait(
        "weightings/step.py", "_norms_by_shared", "tolist",
        "which losses to differentiate, where shared= and refreshed= are given and norms are due",
    ),
    KnownWait(
        "weightings/reduction.py", "_compare", "upload equal",
        "at the first call of a rule in a training of several processes",
    ),
    KnownWait(
        "weightings/runs.py", "Runs.due", "number",
        "a caller asks whether norms are due, and runs have had different numbers of calls",
    ),
    # No waits.
    _none(f"{_LEARNERS}tensor_ppo.py", "TensorPPOLearner._log_time", "number", "counts of the host"),
    _none("random.py", "_on_host", "numpy", _CPU),
    _none("random.py", "_from_host", "upload", "stays on the CPU"),
    _none("random.py", "fold_in", "number item number item", _CPU),
    _none("core/combination.py", "_is_all", "number", _CPU),
    _none("core/draws.py", "DrawnAhead.of", "tolist tolist upload", _CPU),
    _none("core/draws.py", "DrawnAhead._draw", "tolist tolist", _CPU),
    _none("core/differentiation.py", "_rows", "condition number nonzero", _CPU),
    _none("core/modules/data.py", "_tensors", "upload cpu", "a user's data, brought to the host"),
    _none("core/modules/data.py", "_split", "upload", "stays on the CPU"),
    _none("core/modules/task.py", "ModuleTask.losses", "number", "names of the host"),
    _none("core/modules/template.py", "made", "cpu", "a user's module, as it was made"),
    _none("core/modules/trial.py", "try_out", "number", "on the CPU, once"),
    _none("core/modules/trial.py", "_called", "equal", "on the CPU, once"),
    _none("core/gradient_task.py", "_chosen", "tolist", _NUMPY),
    _none("data/image_source.py", "ImageSource.pixel_variance", "number", "on the CPU, once"),
    _none("data/partition.py", "five_way_partition", "upload numpy", "on the CPU, once"),
    _none("data/resampled_tables.py", "load_classes", "condition", _NUMPY),
    _none("data/table_families.py", "stacked", "number", _NUMPY),
    _none("data/table_families.py", "_load", "condition", _NUMPY),
    _none("data/clusters.py", "_second_class", "linalg linalg",
          "neither says whether a matrix is singular: the host has nothing to ask"),
    _none("data/clusters.py", "ClusterProblems._corners", "number", "an argument of the task"),
    _none("controls/checks.py", "_all_finite", "numpy", _CPU),
    _none("controls/checks.py", "finite_numbers", "numpy", _CPU),
    _none("controls/checks.py", "checked_control", "numpy numpy", _CPU),
    _none("controls/checks.py", "check_rows", "condition", _NUMPY),
    _none("controls/hold_schedule.py", "_drawn", "numpy", _CPU),
    _none("environment/decisions.py", "Decisions.open", "number", _NUMPY),
    _none("environment/decisions.py", "Decisions.play", "mask", _NUMPY),
    _none("environment/decisions.py", "Decisions._segment", "number", _NUMPY),
    _none("environment/phases.py", "Phases.until_validation", "number", _NUMPY),
    _none("environment/segments.py", "Player._play", "condition", _NUMPY),
    _none("environment/segments.py", "Player._segment", "condition", _NUMPY),
    _none("environment/segments.py", "Player._updated", "number", _NUMPY),
    _none("environment/segments.py", "Player._validated", "condition", _NUMPY),
    _none("environment/env.py", "AutoLossEnv.reset", "number", "of NumPy's generator"),
    _none("environment/infos.py", "of_run", "item", _NUMPY),
    _none("environment/phases.py", "Phases.begin_step", "condition tolist", _NUMPY),
    _none("environment/rendering.py", "Trace._draw_curves", "condition", _NUMPY),
    _none("environment/snapshots.py", "restore", "numpy", "counters, which are on the CPU"),
    _none("environment/snapshots.py", "_counters", "upload", "stays on the CPU"),
    _none("environment/vector_env.py", "AutoLossVectorEnv.reset", "number", _NUMPY),
    _none("environment/vector_env.py", "AutoLossVectorEnv._new_seeds", "number", _NUMPY),
    _none("scoring/classifiers/training.py", "weight_shapes", "number", _NUMPY),
    _none("scoring/classifiers/training.py", "accuracy", "number", "on the CPU, once"),
    _none("scoring/classifiers/training.py", "_key", "upload", "on the CPU, once"),
    _none("scoring/image_judge.py", "ImageJudge.real_scores", "tolist", "on the CPU"),
    _none("scoring/image_quality/niqe.py", "niqe", "linalg linalg",
          "neither says whether a matrix is singular: the host has nothing to ask"),
    _none("scoring/image_quality/niqe.py", "fit_pristine_model", "number", "on the CPU, once"),
    _none("scoring/image_quality/niqe.py", "load_pristine_model", "upload condition",
          "on the CPU, once"),
    _none("scoring/image_quality/niqe.py", "_is_positive_definite",
          "condition allclose linalg", "on the CPU, once"),
    _none("scoring/sample_scores.py", "moments", "condition linalg", "on the CPU, once"),
    _none("optimizers/learned.py", "LearnedOptimizer.__post_init__", "number tolist number",
          "an array of the host"),
    _none("tasks/images/image_classification.py", "ImageClassification.num_classes", "number",
          _NUMPY),
    _none("tasks/supervised/mlp_classification.py", "MLPClassification.layer_sizes", "number",
          _NUMPY),
    _none("tasks/supervised/table_task.py", "TableTask.num_features", "number",
          "counts of the host"),
    _none("weightings/boundary/arguments.py", "listed_values", "tolist", "an argument of the rule"),
    _none("weightings/boundary/losses.py", "least_if_finite", "item item item", _CPU),
    _none("weightings/boundary/losses.py", "_number", "item", _NUMPY),
    _none("weightings/boundary/saving.py", "_written", "upload", "stays on the CPU"),
    _none("weightings/coefficient_of_variation.py", "CoVWeighting._weigh_one", "tolist", _CPU),
    _none("weightings/dynamic_weight_average.py", "DynamicWeightAverage._weigh_one",
          "number tolist", _CPU),
    _none("weightings/famo.py", "FAMO._weigh_one", "tolist tolist tolist", _CPU),
    _none("weightings/gradnorm.py", "GradNorm._targets_of_one", "tolist", _CPU),
    _none("weightings/imtl.py", "IMTLBalance._weigh_one", "tolist", _CPU),
    _none("weightings/learned.py", "descend_one", "tolist", _CPU),
    _none("weightings/random_weights.py", "RandomLossWeighting._weigh_one", "tolist", _CPU),
    _none("weightings/relobralo.py", "ReLoBRaLo._balanced_one", "tolist", _CPU),
    _none("weightings/relobralo.py", "ReLoBRaLo._looks_back_one", "tolist", _CPU),
    _none("weightings/runs.py", "_as_numbers", "tolist", _CPU),
    _none("weightings/self_adaptive.py", "SelfAdaptiveWeights._masked_one", "number tolist", _CPU),
    _none("weightings/runs.py", "_as_tensors", "upload", _CPU),
    _none("weightings/single.py", "_read", "item tolist", _CPU),
    _none("weightings/softadapt.py", "SoftAdapt._weigh_one", "tolist tolist", _CPU),
    _none("weightings/softadapt.py", "_factors_of_full", "tolist tolist", _CPU),
    _none("weightings/time_schedule.py", "TimeSchedule._weigh_one", "upload tolist", _CPU),
    _none("weightings/uncertainty.py", "UncertaintyWeighting._weigh_one", "tolist", _CPU),
    _none("weightings/shared.py", "_norms", "linalg", "norms of vectors ask nothing"),
    _none("weightings/shared.py", "figures_by", "linalg", "norms of vectors ask nothing"),
    _none("weightings/scaling.py", "_known_to_be_positive", "item item", _CPU),
)  # fmt: skip
