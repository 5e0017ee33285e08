"""The tail of the code's shape is bounded: what is longer than this is several things."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import python_files, text, tree

FILE_LINES = 400
FUNCTION_LINES = 50
PARAMETERS = 8
PUBLIC_METHODS = 12
# The modules that must survive what they run, and what that is; each broad handler logs and settles.
CATCH_ALL = {
    "entities/worker/worker.py": "one wake's fault must not stop the others",
    "entities/worker/runtime.py": "a handler is foreign code: its wake is settled as failed",
    "entities/agent/tool_calls.py": "a tool is foreign code: the model hears what it raises",
    "entities/types/tool.py": "what a foreign object is put into words with is foreign, too",
    "entities/catalog/sanitize.py": "what a foreign error or object says of itself is foreign, too",
    "entities/types/foreign.py": "users' code ends its own call, whatever it raises",
    "shared_state/write/batch.py": "a unit is foreign code: its caller hears of it, the others go on",
    "shared_state/write/writer.py": "the thread must live, and every caller hear what happened",
    "entities/testing/fault_injection.py": "a child of the crash test ends here, and must say why",
    "shared_state/notify/bus.py": "what was committed must not look failed to the one who wrote it",
    "tests/support/acting.py": "the test looks at what was raised",
    "shared_state/live/codecs.py": "one codec's fault must not stop the others",
    "shared_state/core/model_json.py": "validators are foreign code: a value is refused, whatever they raise",
    "shared_state/html/foreign.py": "a text at which a library fails is shown as it is",
    "shared_state/html/render_child.py": "whatever one text does, the next may be a better one",
    "shared_state/html/render_process.py": "a process that did not finish its piece is ended",
    "shared_state/live/session.py": "a frame's fault must not end the socket, nor a look the looking",
    "shared_state/core/outage.py": "whatever a part raises, it is not to be relied upon; the log has it",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    for path in python_files():
        for node in ast.walk(tree(path)):
            if isinstance(node, kinds):
                yield path, node


def functions() -> Iterator[tuple[str, Function]]:
    for path, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        assert isinstance(node, Function)
        yield f"{path}:{node.lineno} {node.name}", node


def test_files_are_at_most_400_lines() -> None:
    lengths = {str(path): len(text(path).splitlines()) for path in python_files()}

    assert {path: lines for path, lines in lengths.items() if lines > FILE_LINES} == {}


def test_functions_are_at_most_50_lines() -> None:
    lengths = {where: (node.end_lineno or 0) - node.lineno + 1 for where, node in functions()}

    assert {where: lines for where, lines in lengths.items() if lines > FUNCTION_LINES} == {}


def test_functions_take_at_most_8_parameters() -> None:
    counts = {}
    for where, node in functions():
        given = node.args
        names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        # A test's parameters are its fixtures; the first of a method is the method's own.
        counts[where] = len([name for name in names if name not in ("self", "cls")])

    assert {where: count for where, count in counts.items() if count > PARAMETERS} == {}


def test_classes_have_at_most_12_public_methods() -> None:
    counts = {}
    for path, node in nodes(ast.ClassDef):
        assert isinstance(node, ast.ClassDef)
        methods = [one.name for one in node.body if isinstance(one, Function) and not _is_value(one)]
        counts[f"{path}:{node.lineno} {node.name}"] = len({name for name in methods if name[0] != "_"})

    assert {where: count for where, count in counts.items() if count > PUBLIC_METHODS} == {}


def test_only_those_who_must_survive_catch_everything() -> None:
    broad = [
        f"{path}:{node.lineno}"
        for path, node in nodes(ast.ExceptHandler)
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node) and str(path) not in CATCH_ALL
    ]

    assert broad == []


def _is_value(function: Function) -> bool:
    """A property, or a column of the admin: read, not called."""
    marks = [ast.unparse(mark) for mark in function.decorator_list]
    return any(re.match(r"property$|cached_property$|admin\.display\b", mark) for mark in marks)


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException"))
        for kind in kinds
    )
