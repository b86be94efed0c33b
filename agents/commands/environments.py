"""The commands that say which environments there are, and what one of them is."""

from collections.abc import Mapping, Sequence

import gymnasium

from autoloss_gym.tools.signatures import environment_signature, task_signature

from ..command_line import check_environment, command_parser, environment_ids
from ..configuration import ALGORITHMS

LISTING = """\
Print the ids of the environments, each with one line about it, and the names of the algorithms.

    {command}"""

SHOWING = """\
Print the documentation of an environment: its task, and all arguments with their defaults.

    {command} AutoLoss/QuadraticRegression-v1"""


def list_environments(given: Sequence[str], program: str) -> None:
    """Print every id with the first sentence of its task."""
    command_parser(program, LISTING).parse_args(given)
    ids = environment_ids()
    width = max(len(id) for id in ids)
    print("environments:")
    for id in ids:
        task = gymnasium.spec(id).kwargs["task"]
        print(f"  {id:{width}}  {task_signature(task).summary}")
    print(f"\nalgorithms: {', '.join(ALGORITHMS)}")
    print("policies: see autoloss evaluate --help")


def show(given: Sequence[str], program: str) -> None:
    """Print what the task's author wrote about it, and its arguments."""
    parser = command_parser(program, SHOWING)
    parser.add_argument("env", metavar="ID", help="id, or module:id where the module registers it")
    arguments = parser.parse_args(given)
    spec = check_environment(arguments.env)
    task = task_signature(spec.kwargs["task"])
    environment = environment_signature()
    of_environment = {
        name: default for name, default in environment.arguments.items() if name != "task"
    }

    print(f"{spec.id}\n\n{task.documentation or '(its task has no docstring)'}\n")
    print(f"Arguments of the task, with their defaults:\n{_table(task.arguments)}\n")
    if task.presets:
        print(f"Presets: {', '.join(task.presets)}\n")
    print(f"Arguments of every environment, with their defaults:\n{_table(of_environment)}")


def _table(arguments: Mapping[str, str | None]) -> str:
    width = max((len(name) for name in arguments), default=0)
    lines = [f"  {name:{width}}  {default or ''}".rstrip() for name, default in arguments.items()]
    return "\n".join(lines) or "  none"
