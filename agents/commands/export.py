"""The command that writes the controller of a training to a file of its own."""

from collections.abc import Sequence
from pathlib import Path

from ..command_line import check_environment, check_resumed_environment, command_parser
from ..run_folders import load_configuration

DESCRIPTION = """\
Write the controller of a finished training to one file, for training loops of your own and for
other machines. A training does so by itself at the end, as controller.safetensors.

    {command} runs/group/AutoLoss-QuadraticRegression-v1_1 -o controller.safetensors

In Python: autoloss_gym.Controller.load("controller.safetensors")"""


def export_run(given: Sequence[str], program: str) -> None:
    """Export the training of a run folder, and print the file."""
    parser = command_parser(program, DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="run folder of a training")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="default: controller.safetensors in the run folder"
    )
    parser.add_argument("--env", help="its id once more, where a module of yours registers it")
    arguments = parser.parse_args(given)
    folder = Path(arguments.run)
    configuration = load_configuration(folder)
    check_resumed_environment(configuration.env, arguments.env)
    check_environment(configuration.env)

    from autoloss_gym.controllers.controller import FILE

    from ..learners.export import export

    path = Path(arguments.output) if arguments.output else folder / FILE
    export(folder).save(path)
    print(path)
