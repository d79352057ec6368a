"""Who may know whom, and what must never be there: read from the source, so that a slip shows at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nesgw"
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Any) -> Iterator[Any]:
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


def part(module: Any) -> Any:
    """The part of nesgw that a module belongs to: nesgw.optical.link -> optical, nesgw.meter.session -> meter."""
    return module.split(".")[1] if module.startswith("nesgw.") else ""


def modules(name: Any) -> Any:
    folder = PACKAGE / name
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]


@pytest.mark.parametrize(
    ("who", "may_know"),
    [
        ("values", set()),
        ("errors", set()),
        ("config", {"errors", "values", "ports", "config"}),
        ("ports", {"errors", "ports"}),
        ("optical", {"errors", "values", "ports", "optical"}),
        ("mep", {"errors", "ports", "mep"}),
        ("tables", {"errors", "values", "tables"}),
        ("plausibility", {"values", "tables", "plausibility"}),
        ("publishers", {"errors", "values", "config", "tables", "publishers"}),
        ("simulator", {"simulator"}),
        ("meter", {"errors", "values", "config", "ports", "optical", "mep", "tables", "meter"}),
        ("web", {"errors", "values", "config", "tables", "publishers", "web"}),
        (
            "gateway",
            {"errors", "values", "config", "meter", "tables", "plausibility", "publishers", "web", "gateway"},
        ),
    ],
)
def test_dependencies_point_one_way(who: str, may_know: Any) -> None:
    for path in modules(who):
        known = {part(module) for module in imports(path)} - {""}
        assert known <= may_know, f"{path.name} knows {known - may_know}"


def modules_that(path: Any) -> Any:
    """The modules of nesgw that a file imports, each by its own name: a name taken from a package may be one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found, named = set(imports(path)), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in found:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            named |= names & MODULES.keys()
            if names <= MODULES.keys():  # of the package nothing but its place is used
                found.discard(node.module)
    return (found & MODULES.keys()) | named


def name_of(path: Any) -> Any:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}
GRAPH = {name: modules_that(path) - {name} for name, path in MODULES.items()}
PACKAGES = {part(name) for name in MODULES} - {""}


def circle_in(graph: Any) -> Any:
    """A circle of arrows, as the names along it; none if there is none."""
    done, way = set(), []

    def look(name: Any) -> Any:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return None
        way.append(name)
        found = next(filter(None, map(look, sorted(graph.get(name, ())))), None)
        way.pop()
        done.add(name)
        return found

    return next(filter(None, map(look, sorted(graph))), None)


def test_a_circle_would_be_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_no_module_imports_in_a_circle() -> None:
    assert circle_in(GRAPH) is None


def test_no_package_imports_in_a_circle() -> None:
    packages = {name: set() for name in PACKAGES}
    for module, known in GRAPH.items():
        if part(module):
            packages[part(module)] |= {part(other) for other in known} - {part(module), ""}
    assert circle_in(packages) is None


def test_nobody_knows_the_daemon_but_the_command_line() -> None:
    for path in FILES:
        if path.is_relative_to(PACKAGE / "commands"):
            continue
        assert "nesgw.gateway.daemon" not in set(imports(path)), path


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("serial", {"ports/find.py", "ports/rfc2217.py", "ports/serial_port.py"}),
        ("paho", {"publishers/mqtt/connection.py"}),
        ("systemd", {"gateway/systemd.py"}),
        ("websockets", {"commands/backfill/home_assistant.py"}),
    ],
)
def test_each_library_to_the_outside_is_known_in_one_place(library: str, homes: set[str]) -> None:
    found = {str(path.relative_to(PACKAGE)) for path in FILES if library in {m.split(".")[0] for m in imports(path)}}
    assert found == homes


def test_the_optical_link_knows_of_ports_what_a_port_is_and_opens_none() -> None:
    for path in modules("optical"):
        assert {name for name in imports(path) if name.startswith("nesgw.ports")} <= {"nesgw.ports.port"}, path


@pytest.mark.parametrize(
    ("folder", "core"),
    [
        ("optical", ("crc", "packet", "link", "services", "session")),
        ("mep", ("digest", "frames", "session", "link", "pace", "answer_size", "read_plan")),
    ],
)
def test_the_protocol_core_knows_no_port_no_clock_and_no_thread(folder: str, core: tuple[str, ...]) -> None:
    for name in core:
        forbidden = {"serial", "time", "threading", "os", "socket", "select"}
        assert not forbidden & {module.split(".")[0] for module in imports(PACKAGE / folder / f"{name}.py")}


def test_the_meter_is_only_ever_read() -> None:
    """C12.18 writes with services 0x40 to 0x4F (a procedure is a write to table 7): none is ever sent."""
    from nesgw.optical import services
    from nesgw.optical.session import AFTER_OK

    requests: list[services.Request[Any]] = [
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
