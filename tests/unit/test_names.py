"""Names in `fixtures/`: a function says what it does in more than one word, and a name means one thing."""

import ast
from collections import defaultdict

from fixtures.core.files import ROOT

ONE_WORD_SHARE = 0.15  # at most
# Run by path, before anything of ours can be imported: they repeat a few facts.
ALONE = ("fixtures/processes/guard.py", "fixtures/processes/reaper.py", "fixtures/backends/warm_server.py")
SHARED = ("main", "expect", "begin", "__all__")  # `begin` is what every backend offers


def definitions():
    """(file, name, node) of every module-level function, class and constant."""
    for path in sorted((ROOT / "fixtures").rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield path.relative_to(ROOT).as_posix(), node.name, node
            for target in getattr(node, "targets", [getattr(node, "target", None)]):
                for name in ast.walk(target) if target is not None else ():
                    if isinstance(name, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign):
                        yield path.relative_to(ROOT).as_posix(), name.id, node


DEFINITIONS = list(definitions())


def is_named_by_pytest(name, node):
    """Hooks and fixtures are named by pytest, or by what a check asks for."""
    return name.startswith("pytest_") or any("fixture" in ast.unparse(d) for d in getattr(node, "decorator_list", ()))


def test_no_name_is_defined_in_two_modules():
    places = defaultdict(set)
    for file, name, _ in DEFINITIONS:
        if file not in ALONE and name not in SHARED and not name.startswith("pytest_"):
            places[name].add(file)
    assert {name: sorted(files) for name, files in places.items() if len(files) > 1} == {}


def test_few_functions_have_one_word():
    functions = [
        name
        for _, name, node in DEFINITIONS
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and name not in SHARED
        and not is_named_by_pytest(name, node)
    ]
    short = [name for name in functions if "_" not in name.strip("_")]
    assert len(short) <= ONE_WORD_SHARE * len(functions), f"{len(short)} of {len(functions)}: {sorted(short)}"
