"""Who may know whom, and what must never be there: read from the source, so that a slip shows at once."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nesgw"
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    """Every module that a file imports, at the top or inside a function; not those for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield node.module


def part(module):
    """The part of nesgw that a module belongs to: nesgw.optical.link -> optical, nesgw.meter.session -> meter."""
    return module.split(".")[1] if module.startswith("nesgw.") else ""


def modules(name):
    folder = PACKAGE / name
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]


@pytest.mark.parametrize(
    ("who", "may_know"),
    [
        ("values", set()),
        ("errors", set()),
        ("config", {"errors", "config"}),
        ("ports", {"errors", "ports"}),
        ("optical", {"errors", "optical"}),
        ("tables", {"errors", "values", "tables"}),
        ("plausibility", {"values", "tables", "plausibility"}),
        ("publishers", {"errors", "values", "tables", "publishers"}),
        ("simulator", {"simulator"}),
        ("meter", {"errors", "values", "ports", "optical", "tables", "meter"}),
        ("gateway", {"errors", "values", "config", "meter", "tables", "plausibility", "publishers", "gateway"}),
    ],
)
def test_dependencies_point_one_way(who, may_know):
    for path in modules(who):
        known = {part(module) for module in imports(path)} - {""}
        assert known <= may_know, f"{path.name} knows {known - may_know}"


def test_nobody_knows_the_daemon_but_the_command_line():
    for path in FILES:
        if path.is_relative_to(PACKAGE / "commands"):
            continue
        assert "nesgw.gateway.daemon" not in set(imports(path)), path


@pytest.mark.parametrize(
    ("library", "home"),
    [("serial", "ports/serial_port.py"), ("paho", "publishers/mqtt/connection.py")],
)
def test_each_library_to_the_outside_is_known_in_one_place(library, home):
    homes = {str(path.relative_to(PACKAGE)) for path in FILES if library in {m.split(".")[0] for m in imports(path)}}
    assert homes == {home}


def test_the_protocol_core_knows_no_port_no_clock_and_no_thread():
    for name in ("crc", "packet", "link", "services", "session"):
        forbidden = {"serial", "time", "threading", "os", "socket", "select"}
        assert not forbidden & {module.split(".")[0] for module in imports(PACKAGE / "optical" / f"{name}.py")}


def test_the_meter_is_only_ever_read():
    """C12.18 writes with services 0x40 to 0x4F (a procedure is a write to table 7): none is ever sent."""
    from nesgw.optical import services
    from nesgw.optical.session import AFTER_OK

    requests = [
        services.Identify(),
        services.Negotiate(64, 1),
        services.Logon(),
        services.Security(b"k"),
        services.Read(0),
        services.PartialRead(0, 0, 1),
        services.Wait(1),
        services.Logoff(),
        services.Terminate(),
    ]
    assert {type(request) for request in requests} == {kind for legal in AFTER_OK.values() for kind in legal}
    assert not [request for request in requests if 0x40 <= request.encode()[0] <= 0x4F]
