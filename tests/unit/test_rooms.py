"""The order of rooms: a room of `fixtures/` imports only rooms above it, and no module imports itself round a corner.

Deferred imports and those for types count.
"""

import ast
import re
from graphlib import CycleError, TopologicalSorter

import fixtures
from fixtures.core.files import ROOT

ROOMS = re.findall(r"^(\w+) {2,}", fixtures.__doc__, re.MULTILINE)
MODULES = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in (ROOT / "fixtures").rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in MODULES.items()}


def imported(path):
    """The modules of ours that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "") in MODULES:
            assert node.level == 0, f"{path}: a relative import"
            yield from {n if (n := f"{node.module}.{a.name}") in MODULES else node.module for a in node.names}


IMPORTS = {name: set(imported(path)) - {name, "fixtures"} for name, path in MODULES.items() if name != "fixtures"}


def room(module):
    return module.split(".")[1]


def test_the_map_names_every_room():
    assert {room(m) for m in IMPORTS} - set(ROOMS) == set(), "a room without a line in fixtures/__init__.py"
    assert [
        m for m in IMPORTS if m.count(".") == 1 and m != "fixtures.stack" and not MODULES[m].match("*/__init__.py")
    ] == []


def test_no_import_points_upward():
    rank = {name: number for number, name in enumerate(ROOMS)}
    upward = [f"{m} imports {i}" for m in IMPORTS for i in IMPORTS[m] if rank[room(i)] > rank[room(m)]]
    assert sorted(upward) == []


def test_no_module_imports_itself_round_a_corner():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_the_architecture_page_is_the_same_map():
    """Its table has the map's rooms and words, and the modules that it names exist."""
    rows = re.findall(r"^\| (\w+) \| (.+?) \| (.*)\|$", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    rooms = {name: (words, modules) for name, words, modules in rows if name in ROOMS}
    told = dict(re.findall(r"^(\w+) {2,}(.+)$", fixtures.__doc__, re.MULTILINE))
    assert {name: words for name, (words, _) in rooms.items()} == told
    assert list(rooms) == ROOMS
    named = {f"fixtures.{room}.{m}" for room in rooms for m in re.findall(r"`([a-z_0-9]+)`", rooms[room][1])}
    files = {name for name in MODULES if name.count(".") >= 2} | {f"fixtures.{room}" for room in ROOMS}
    assert sorted(named - files) == []
