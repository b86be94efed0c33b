"""A look for the places in the text of a module where the host waits for the device.

It knows these kinds of waits:

- "item", "tolist", "cpu", "numpy", "nonzero", "unique", "masked_select", "equal", "allclose" and
  "isclose": a call of that name, but of `np` or `math`. "linalg": a call of `torch.linalg`, whose
  decompositions look at their status.
- "number": `bool(…)`, `int(…)` or `float(…)` around an attribute or a method, but of `np` or
  `math`, as in `bool(mask.any())`. A plain name is taken for a number of the host.
- "condition": a test of `if`, `while`, `assert` or a conditional expression that calls `any`,
  `all` or `isfinite`, but of `np` or `math`, as in `if mask.any():`.
- "mask": an index that is a mask, as in `x[mask]`, read or written. An index is taken for one
  where it is a comparison, `~…`, `… & …`, `… | …`, or a call of isfinite, isnan, any, all, bool or
  logical_…; or a name to which the function assigns one of these, or which it gets annotated with
  `Bool`.
- "upload": `torch.tensor`, `torch.as_tensor` or `torch.from_numpy`: if its numbers go on to a
  device, the host waits for their copy.

What is not seen here, such as a tensor as a bare condition, `test_meta_device` sees.
"""

import ast
from collections.abc import Iterator

_NAMED = {
    "item", "tolist", "cpu", "numpy", "nonzero", "unique", "masked_select", "equal", "allclose",
    "isclose",
}  # fmt: skip
_UPLOADS = {"tensor", "as_tensor", "from_numpy"}
_ASKS = {"any", "all", "isfinite"}
_MASKS = {"isfinite", "isnan", "isinf", "any", "all", "bool", "logical_and", "logical_or", "eq"}
Wait = tuple[str, str]  # the function, with its class, and the kind


def found(source: str) -> list[Wait]:
    """Every wait in the text of a module, in order."""
    return list(_in_body(ast.parse(source), "", set()))


def _in_body(node: ast.AST, place: str, masks: set[str]) -> Iterator[Wait]:
    for child in ast.iter_child_nodes(node):
        if child in _annotations(node):
            continue
        if isinstance(child, ast.ClassDef):
            yield from _in_body(child, f"{child.name}.", masks)
        elif isinstance(child, ast.FunctionDef):
            # A function within a function counts as that one.
            is_inner = bool(place) and not place.endswith(".")
            name = place if is_inner else f"{place}{child.name}"
            yield from _in_body(child, name, masks | _masks_of(child))
        else:
            kind = _kind(child, masks)
            if kind:
                yield place, kind
            yield from _in_body(child, place, masks)


def _annotations(node: ast.AST) -> list[ast.AST]:
    """Types, which look like indices: `dict[str, Tensor | None]`."""
    types = [getattr(node, name, None) for name in ("annotation", "returns")]
    return [each for each in types if each is not None]


def _kind(node: ast.AST, masks: set[str]) -> str | None:
    if isinstance(node, ast.Subscript) and not _is_type(node.value):
        return "mask" if _is_mask_index(node.slice, masks) else None
    if isinstance(node, ast.If | ast.While | ast.Assert | ast.IfExp):
        return "condition" if _asks(node.test) else None
    if isinstance(node, ast.Call):
        return _kind_of_call(node)
    return None


def _kind_of_call(call: ast.Call) -> str | None:
    function = call.func
    if isinstance(function, ast.Name) and function.id in ("bool", "int", "float"):
        parts = [each for argument in call.args for each in ast.walk(argument)]
        reads = [each for each in parts if isinstance(each, ast.Attribute)]
        return "number" if any(_owner(each) not in ("np", "math") for each in reads) else None
    if not isinstance(function, ast.Attribute) or _owner(function) in ("np", "math"):
        return None
    if _owner(function) == "torch" and function.attr in _UPLOADS:
        return "upload"
    if isinstance(function.value, ast.Attribute) and function.value.attr == "linalg":
        return "linalg"
    return function.attr if function.attr in _NAMED else None


def _asks(test: ast.AST) -> bool:
    calls = [node.func for node in ast.walk(test) if isinstance(node, ast.Call)]
    methods = [each for each in calls if isinstance(each, ast.Attribute) and each.attr in _ASKS]
    return any(_owner(each) not in ("np", "math") for each in methods)


def _owner(function: ast.expr) -> str:
    """The name with which a dotted name begins: "torch" of `torch.linalg.eigh`."""
    while isinstance(function, ast.Attribute):
        function = function.value
    return function.id if isinstance(function, ast.Name) else ""


def _is_type(value: ast.expr) -> bool:
    """Whether it is a generic type such as `Callable` or `tuple`, by its name."""
    if not isinstance(value, ast.Name):
        return False
    return value.id[0].isupper() or value.id in ("dict", "list", "tuple", "set", "type")


def _is_mask_index(index: ast.expr, masks: set[str]) -> bool:
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return any(
        _is_mask(part) or (isinstance(part, ast.Name) and part.id in masks) for part in parts
    )


def _is_mask(value: ast.expr) -> bool:
    if isinstance(value, ast.Compare):
        return True
    if isinstance(value, ast.UnaryOp):
        return isinstance(value.op, ast.Invert)
    if isinstance(value, ast.BinOp):
        return isinstance(value.op, ast.BitAnd | ast.BitOr)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        return value.func.attr in _MASKS
    return False


def _masks_of(function: ast.FunctionDef) -> set[str]:
    """Names of the masks that a function gets or makes."""
    arguments = [*function.args.args, *function.args.kwonlyargs]
    annotated = [(each.arg, each.annotation) for each in arguments if each.annotation]
    names = {name for name, annotation in annotated if "Bool[" in ast.unparse(annotation)}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and _is_mask(node.value):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names
