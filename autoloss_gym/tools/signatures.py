"""Arguments, presets and docstring of a class, read from its source without importing it.

Importing a task imports PyTorch, which takes seconds. A command that only checks the name of an
argument, or prints a task's documentation, should not wait for that.
"""

import ast
import functools
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = "autoloss_gym"
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Signature:
    """The parts of a class that its users see.

    Args:
        name: of the class.
        documentation: its docstring, without indentation.
        arguments: for each argument the source of its default, None where it has none.
        presets: names of the sets of arguments that it offers.
    """

    name: str
    documentation: str
    arguments: Mapping[str, str | None]
    presets: tuple[str, ...]

    @property
    def summary(self) -> str:
        """First sentence of the docstring, in one line."""
        return " ".join(self.documentation.partition("\n\n")[0].split())


@functools.cache
def task_signature(task: str) -> Signature:
    """The signature of a dataclass "module:Class", in the order of `dataclasses.fields`.

    Where the name is that of a function, or of a task that the module makes, it is that of the
    function, or has no arguments.

    Raises:
        ValueError: the source has no such name.
    """
    module, _, name = task.partition(":")
    classes = list(_with_bases(module, name))
    if not classes:
        return _other_signature(task)
    node = classes[-1]
    arguments: dict[str, str | None] = {}
    presets: tuple[str, ...] = ()
    for each in classes:
        arguments |= _fields(each)
        presets = _presets(each) or presets
    return Signature(name, ast.get_docstring(node) or "", arguments, presets)


def _other_signature(task: str) -> Signature:
    module, _, name = task.partition(":")
    source = _source(module) or ast.Module([], [])
    for node in source.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            arguments = _parameters(node.args)
            return Signature(name, ast.get_docstring(node) or "", arguments, ())
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets):
            return Signature(name, ast.get_docstring(source) or "", {}, ())
    raise ValueError(f"task={task!r}: expected 'module:Class'")


@functools.cache
def environment_signature() -> Signature:
    """The signature of `AutoLossVectorEnv`, without the arguments of its task."""
    *_, node = _with_bases(f"{_PACKAGE}.environment.vector_env", "AutoLossVectorEnv")
    functions = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    (constructor,) = [each.args for each in functions if each.name == "__init__"]

    arguments = _parameters(constructor)
    del arguments["self"]
    return Signature(node.name, ast.get_docstring(node) or "", arguments, ())


def _parameters(given: ast.arguments) -> dict[str, str | None]:
    """Arguments of a function with the sources of their defaults."""
    missing = [None] * (len(given.args) - len(given.defaults))
    defaults = [*missing, *given.defaults, *given.kw_defaults]
    arguments: dict[str, str | None] = {}
    for argument, default in zip([*given.args, *given.kwonlyargs], defaults, strict=True):
        arguments[argument.arg] = _text(default)
    return arguments


def _with_bases(module: str, name: str) -> Iterator[ast.ClassDef]:
    """A class after all its bases, each once, as dataclasses collect their fields.

    That is the reverse of Python's method resolution order, wherever no class is a base of two
    bases in different orders. Bases without source, such as those of the standard library's C
    modules, are left out.
    """
    seen: set[tuple[str, str]] = set()

    def visit(module: str, name: str) -> Iterator[ast.ClassDef]:
        found = _find_class(module, name)
        if found is None or (found[0], found[1].name) in seen:
            return
        home, node = found
        seen.add((home, node.name))
        for base in reversed(node.bases):
            if isinstance(base, ast.Name):
                yield from visit(home, base.id)
        yield node

    return visit(module, name)


def _find_class(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    """The module that defines a class, and the definition; imports of the class are followed."""
    source = _source(module)
    if source is None:
        return None
    for node in source.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
    for imported in ast.walk(source):  # the package's door imports under `if TYPE_CHECKING:`
        if isinstance(imported, ast.ImportFrom) and imported.module and not imported.level:
            for alias in imported.names:
                if (alias.asname or alias.name) == name:
                    return _find_class(imported.module, alias.name)
    return None


@functools.cache
def _source(module: str) -> ast.Module | None:
    """The parsed source of a module, or None where it has none."""
    package, *parts = module.split(".")
    if package == _PACKAGE:
        # Not by `find_spec`, which imports the packages above a module.
        path = _ROOT.joinpath(*parts)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    else:
        spec = importlib.util.find_spec(module)
        path = Path(spec.origin if spec and spec.origin else "")
    if path.suffix != ".py" or not path.is_file():
        return None
    return ast.parse(path.read_text(encoding="utf-8"))


def _fields(node: ast.ClassDef) -> dict[str, str | None]:
    """Fields of a dataclass that its constructor takes, with the source of their defaults."""
    fields: dict[str, str | None] = {}
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if ast.unparse(statement.annotation).startswith("ClassVar"):
            continue
        default = _text(statement.value)
        if default is None or "init=False" not in default:
            fields[statement.target.id] = default
    return fields


def _presets(node: ast.ClassDef) -> tuple[str, ...]:
    """Keys of the class variable `presets`."""
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.value, ast.Dict):
            continue
        if ast.unparse(statement.target) == "presets":
            return tuple(ast.literal_eval(key) for key in statement.value.keys if key)
    return ()


def _text(default: ast.expr | None) -> str | None:
    """The source of a default; of `field(default_factory=…)` that of the factory."""
    if default is None:
        return None
    if isinstance(default, ast.Call) and ast.unparse(default.func) == "field":
        for keyword in default.keywords:
            if keyword.arg == "default_factory" and isinstance(keyword.value, ast.Lambda):
                return ast.unparse(keyword.value.body)
    return ast.unparse(default)
