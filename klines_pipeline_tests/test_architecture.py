"""The house rule: imports point down only, and each outside thing has one home. No exceptions list."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "klines_pipeline"
TESTS = "klines_pipeline_tests"
LONGEST_MODULE = 250

LEVELS = {
    "domain": 0,
    "klines": 1,
    "funding": 1,
    "exchanges": 2,
    "storage": 2,
    "stages": 3,
    "query": 4,
    "commands": 5,
    "cli": 6,
    "defs": 6,
    "definitions": 7,
    "demo": 7,
    PACKAGE: 7,
}
"""Rooms of the house; those on one level do not know each other. `settings`, its `configuration` and `simulator` stand
beside it."""

READ_SETTINGS = {
    "definitions",
    "defs.build",
    "cli",
    "commands.datasets",
    "commands.revisions",
    "commands.symbols",
    "query.read",
    "query.funding",
    "demo.__main__",
    "demo.live",
    "demo.tables",
}
START_THE_SIMULATOR = {"cli", "demo.__main__", "demo.live"}
LATE_IMPORTS = {
    "__init__.__getattr__",
    "cli.run_exchange",
    "defs.assets.pictures.pictures_of",
    "query.read._known_at",
    "query.funding._known_at",
}
"""Functions that import for a documented reason: readers without Dagster or HTTP clients, and optional extras."""
PRIVATE_NAMES = {"defs.unpublished", "unpublished"}
"""The package's module of what Dagster does not publish, and that of the tests."""
STORAGES = {"event_log_storage", "run_storage", "schedule_storage", "daemon_cursor_storage"}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc", "core", "handler", "processor"}

_URL = re.compile(r"https?://[^\s'\"]")
_PATH = re.compile(r"date=|month=|part\.parquet")


class Module:
    """A module's name inside the package (`exchanges.binance.wire`) and its syntax tree."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.source = source
        self.tree = ast.parse(source)

    @property
    def room(self) -> str:
        """First part of the name."""
        return PACKAGE if self.name == "__init__" else self.name.partition(".")[0]

    def imports(self) -> Iterator[tuple[str, int]]:
        """Every module imported anywhere in it, with the line. `from a import b` counts as `a.b`, which may be one."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = "." * node.level + (node.module or "")
                yield from ((f"{origin}.{alias.name}", node.lineno) for alias in node.names)

    def own_imports(self) -> Iterator[tuple[str, int]]:
        """Imports from the package, its name left out."""
        for name, line in self.imports():
            if name.partition(".")[0] == PACKAGE:
                yield name.removeprefix(PACKAGE).removeprefix("."), line

    def texts(self) -> Iterator[tuple[str, int]]:
        """String literals and f-strings (`{}` for what is filled in), docstrings left out."""
        inner = set[int]()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                inner.add(id(node.value))
            elif isinstance(node, ast.JoinedStr):
                inner.update(id(part) for part in node.values)
                parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
                yield "".join(map(str, parts)), node.lineno
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
                yield node.value, node.lineno

    def at(self, line: int) -> str:
        """Where, for people."""
        return f"{PACKAGE}/{self.name.replace('.', '/')}.py:{line}"


def imports_point_up_or_sideways(module: Module) -> Iterator[str]:
    """`definitions` -> `defs`, `cli` -> `query` -> `stages` -> `exchanges`, `storage` -> `klines` -> `domain`."""
    here = LEVELS.get(module.room)
    for name, line in module.own_imports():
        room = name.partition(".")[0] if name.partition(".")[0] in LEVELS else PACKAGE
        if name.startswith(("settings", "configuration", "simulator")) or here is None:
            continue
        if room != module.room and LEVELS[room] >= here:
            yield f"{module.at(line)} imports {name}"


def strangers_are_imported(module: Module) -> Iterator[str]:
    """Dagster belongs to the code location, HTTP clients to exchanges, the web server to the simulator."""
    homes = {
        "dagster": {"defs", "definitions"},
        "httpx": {"exchanges"},
        "pycurl": {"exchanges"},
        "aiohttp": {"simulator"},
        "fsspec": {"storage"},
        "yaml": {"configuration"},
    }
    for name, line in module.imports():
        if module.room not in homes.get(name.partition(".")[0], {module.room}):
            yield f"{module.at(line)} imports {name}"


def private_names_of_dagster_are_imported(module: Module) -> Iterator[str]:
    """What Dagster does not publish stands in one module, with the reason."""
    for name, line in module.imports():
        if name.startswith("dagster._") and module.name not in PRIVATE_NAMES:
            yield f"{module.at(line)} imports {name}"


def storages_of_dagster_are_asked(module: Module) -> Iterator[str]:
    """Nor does it publish what an instance keeps its things in."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in STORAGES and module.name not in PRIVATE_NAMES:
            yield f"{module.at(node.lineno)} asks {node.attr}"


def domain_leaves_the_standard_library(module: Module) -> Iterator[str]:
    """What the words mean needs no library."""
    foreign = {"polars", "pyarrow", "pydantic", "numpy", "duckdb", "click", "rich"}
    for name, line in module.imports():
        if module.room == "domain" and name.partition(".")[0] in foreign:
            yield f"{module.at(line)} imports {name}"


def imports_are_relative(module: Module) -> Iterator[str]:
    """One spelling of each name."""
    for name, line in module.imports():
        if name.startswith("."):
            yield f"{module.at(line)} imports {name}"


def exchanges_know_each_other(module: Module) -> Iterator[str]:
    """Only the registry names an exchange; exchanges share the modules beside them."""
    parts = module.name.split(".")
    mine = parts[1] if module.room == "exchanges" and len(parts) > 2 else None
    for name, line in module.own_imports():
        target = name.split(".")
        is_folder = target[0] == "exchanges" and (ROOT / PACKAGE / "exchanges" / target[1]).is_dir()
        if is_folder and target[1] != mine and module.name != "exchanges.registry":
            yield f"{module.at(line)} imports {name}"


def settings_are_read_below_the_top(module: Module) -> Iterator[str]:
    """Settings and the configuration they read know only `domain`, and only the top knows settings."""
    for name, line in module.own_imports():
        if name.startswith("settings.") and module.name not in READ_SETTINGS:
            yield f"{module.at(line)} imports {name}"
        if module.name == "settings" and not name.startswith(("domain.", "configuration.")):
            yield f"{module.at(line)} imports {name}"
        if name.startswith("configuration.") and module.name != "settings":
            yield f"{module.at(line)} imports {name}"
        if module.name == "configuration" and not name.startswith("domain."):
            yield f"{module.at(line)} imports {name}"


def simulator_and_pipeline_are_mixed(module: Module) -> Iterator[str]:
    """The embedded exchange knows `domain` at most, and nothing of the pipeline knows it."""
    for name, line in module.own_imports():
        target = name.partition(".")[0]
        if target == "simulator" and module.room != "simulator" and module.name not in START_THE_SIMULATOR:
            yield f"{module.at(line)} imports {name}"
        if module.room == "simulator" and target not in {"simulator", "domain"}:
            yield f"{module.at(line)} imports {name}"


def environment_is_read_outside_settings(module: Module) -> Iterator[str]:
    """Only settings reads the environment."""
    for node in ast.walk(module.tree):
        is_used = isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"}
        is_imported = (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and any(alias.name in {"environ", "environb", "getenv"} for alias in node.names)
        )
        if module.name != "settings" and (is_used or is_imported):
            yield module.at(node.lineno)  # type: ignore[attr-defined]


def urls_are_known_outside_exchanges(module: Module) -> Iterator[str]:
    """A scheme with something behind it is a URL; the simulator, being an exchange, has its own."""
    for text, line in module.texts():
        if module.room not in {"exchanges", "simulator"} and _URL.search(text):
            yield f"{module.at(line)} has {text!r}"


def paths_are_built_outside_storage(module: Module) -> Iterator[str]:
    """Only storage knows how the lake's folders are spelled."""
    for text, line in module.texts():
        if module.room != "storage" and _PATH.search(text):
            yield f"{module.at(line)} has {text!r}"


def package_inits_hold_code(module: Module) -> Iterator[str]:
    """A docstring and nothing else; the package's own one finds `load` and `scan` on first use."""
    if not module.name.endswith("__init__"):
        return
    allowed = (
        (ast.Expr,) if module.name != "__init__" else (ast.Expr, ast.If, ast.ImportFrom, ast.Assign, ast.FunctionDef)
    )
    if not ast.get_docstring(module.tree):
        yield f"{module.at(1)} has no docstring"
    yield from (module.at(node.lineno) for node in module.tree.body if not isinstance(node, allowed))
    yield from (module.at(node.lineno) for node in module.tree.body[1:] if isinstance(node, ast.Expr))


def functions_import(module: Module) -> Iterator[str]:
    """An import inside a function hides a cycle."""
    for function in ast.walk(module.tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        late = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
        if f"{module.name}.{function.name}" not in LATE_IMPORTS:
            yield from (module.at(node.lineno) for node in late)


def modules_grow_too_long(module: Module) -> Iterator[str]:
    """Past this length a module is two thoughts."""
    lines = len(module.source.splitlines())
    if lines > LONGEST_MODULE:
        yield f"{module.at(lines)}: {lines} lines"


def modules_have_no_meaning(module: Module) -> Iterator[str]:
    """A module called utils holds whatever found no home."""
    if NAMELESS & set(module.name.split(".")):
        yield module.at(1)


def files_are_published_without_a_word_on_the_lock(module: Module) -> Iterator[str]:
    """`under=None` where there is none: who forgets it is not fenced off when the lease is lost."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            lake = ast.unparse(node.func.value).endswith("lake")
            if lake and node.func.attr in {"publish", "publish_file"} and "under" not in {k.arg for k in node.keywords}:
                yield module.at(node.lineno)


def modules_do_not_introduce_themselves(module: Module) -> Iterator[str]:
    """The first lines say what belongs here."""
    if not ast.get_docstring(module.tree):
        yield module.at(1)


Rule = Callable[[Module], Iterator[str]]

PLANTED: dict[Rule, list[tuple[str, str]]] = {
    imports_point_up_or_sideways: [
        ("domain.x", "from klines_pipeline.klines.schema import REST"),
        ("storage.x", "from klines_pipeline.exchanges import registry"),
        ("stages.x", "import klines_pipeline.query.read"),
        ("query.x", "from klines_pipeline import cli"),
        ("stages.x", "from klines_pipeline import load"),
        ("cli", "from klines_pipeline.defs.build import build_definitions"),
        ("klines.x", "def f():\n    from klines_pipeline.storage import lake"),
        ("klines.x", "from klines_pipeline.funding.schema import REST"),
        ("funding.x", "from klines_pipeline.klines.schema import REST"),
    ],
    files_are_published_without_a_word_on_the_lock: [
        ("stages.x", "def f(lake, paths):\n    lake.publish(paths.klines, b'')"),
        ("stages.x", "def f(run, paths):\n    run.lake.publish_file(paths.klines, source)"),
    ],
    strangers_are_imported: [
        ("stages.x", "import dagster as dg"),
        ("cli", "from dagster import asset"),
        ("query.x", "import httpx"),
        ("storage.x", "import pycurl"),
        ("exchanges.x", "from aiohttp import web"),
    ],
    private_names_of_dagster_are_imported: [
        ("defs.x", "from dagster._core.scheduler.instigation import TickStatus"),
        ("defs.x", "def f():\n    import dagster._utils"),
    ],
    storages_of_dagster_are_asked: [("defs.x", "def f(instance):\n    return instance.run_storage.get_runs()")],
    domain_leaves_the_standard_library: [
        ("domain.x", "import polars as pl"),
        ("domain.x", "from pydantic import Field"),
    ],
    imports_are_relative: [("stages.x", "from . import results"), ("stages.x", "from ..domain import errors")],
    exchanges_know_each_other: [
        ("exchanges.okx.rest", "from klines_pipeline.exchanges.binance.wire import parse_rows"),
        ("exchanges.budget", "from klines_pipeline.exchanges.binance import wire"),
        ("stages.x", "from klines_pipeline.exchanges.binance import vision"),
    ],
    settings_are_read_below_the_top: [
        ("stages.x", "from klines_pipeline.settings import Settings"),
        ("query.tables", "from klines_pipeline.settings import Settings"),
        ("settings", "from klines_pipeline.storage.lake import Lake"),
        ("stages.x", "from klines_pipeline.configuration import read_config"),
        ("configuration", "from klines_pipeline.settings import Settings"),
    ],
    simulator_and_pipeline_are_mixed: [
        ("stages.x", "from klines_pipeline.simulator.server import EmbeddedExchange"),
        ("simulator.x", "from klines_pipeline.klines.schema import REST"),
    ],
    environment_is_read_outside_settings: [
        ("storage.x", "import os\nroot = os.environ['KLINES_LAKE']"),
        ("cli", "import os\nroot = os.getenv('KLINES_LAKE')"),
        ("defs.x", "from os import environ"),
    ],
    urls_are_known_outside_exchanges: [
        ("stages.x", "url = 'https://api.example.com'"),
        ("cli", "url = f'http://{host}/x'"),
    ],
    paths_are_built_outside_storage: [
        ("query.x", "path = f'{folder}/date={day}/x'"),
        ("stages.x", "name = 'part.parquet'"),
    ],
    package_inits_hold_code: [
        ("stages.__init__", '"""Doc."""\nfrom klines_pipeline.stages.ingest import Ingest'),
        ("stages.__init__", '"""Doc."""\n__all__ = []'),
        ("stages.__init__", ""),
        ("__init__", '"""Doc."""\nprint("imported")'),
    ],
    functions_import: [("stages.x", "def f():\n    import json"), ("cli", "def show_status():\n    import json")],
    modules_grow_too_long: [("stages.x", "x = 1\n" * (LONGEST_MODULE + 1))],
    modules_have_no_meaning: [("stages.utils", ""), ("storage.common.x", ""), ("klines.base", "")],
    modules_do_not_introduce_themselves: [("stages.x", "x = 1")],
}


def modules_of(folder: str) -> Iterator[Module]:
    """Every module below a folder of the project, named from there."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield Module(".".join(path.relative_to(ROOT / folder).with_suffix("").parts), path.read_text("utf-8"))


@pytest.fixture(scope="module")
def package() -> list[Module]:
    """All modules, parsed once."""
    return list(modules_of(PACKAGE))


def named(rule: Rule) -> str:
    return rule.__name__


@pytest.mark.parametrize("rule", PLANTED, ids=named)
def test_nowhere(rule: Rule, package: list[Module]) -> None:
    breaches = [breach for module in package for breach in rule(module)]

    assert breaches == []


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [(rule, *planted) for rule, plants in PLANTED.items() for planted in plants],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_breach_would_be_seen(rule: Rule, name: str, source: str) -> None:
    assert list(rule(Module(name, source)))


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (imports_point_up_or_sideways, "stages.x", "from klines_pipeline.storage.lake import Lake"),
        (imports_point_up_or_sideways, "stages.x", "from klines_pipeline.stages.rows import RowSource"),
        (imports_point_up_or_sideways, "demo", "from klines_pipeline.query.read import load"),
        (
            urls_are_known_outside_exchanges,
            "storage.x",
            '"""See https://example.com."""\nif x.startswith("http://"): pass',
        ),
        (paths_are_built_outside_storage, "query.x", '"""The date=2024-01-01 folder."""'),
        (exchanges_know_each_other, "exchanges.binance.x", "from klines_pipeline.exchanges.binance import wire"),
        (exchanges_know_each_other, "exchanges.binance.x", "from klines_pipeline.exchanges.retry import ask"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_allowed_is_no_breach(rule: Rule, name: str, source: str) -> None:
    assert list(rule(Module(name, source))) == []


def test_tests_too_have_one_module_for_what_dagster_does_not_publish() -> None:
    modules = [module for folder in (TESTS, "benchmarks") for module in modules_of(folder)]

    assert [breach for module in modules for breach in private_names_of_dagster_are_imported(module)] == []


def test_every_room_of_the_house_is_known(package: list[Module]) -> None:
    rooms = {module.room for module in package}

    assert rooms - {"settings", "configuration", "simulator"} <= LEVELS.keys()


def test_late_imports_are_still_needed(package: list[Module]) -> None:
    functions = {
        f"{module.name}.{node.name}"
        for module in package
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef) and any(isinstance(part, ast.ImportFrom) for part in ast.walk(node))
    }

    assert functions >= LATE_IMPORTS
