"""The documentation is held to the code: what one of them names, the other has."""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.core.management import get_commands

from catalog.feeds.attributes import COLUMNS
from catalog.models import ItemFields, Product
from devservers import BASE_DIR

PACKAGES = ("accounts", "catalog", "config", "devservers", "events", "notifications", "samples", "schedule")
PAGES = sorted([*BASE_DIR.glob("*.md"), *(BASE_DIR / "docs").rglob("*.md"), *(BASE_DIR / ".github").rglob("*.md")])
LOCKS = sorted((BASE_DIR / "requirements").glob("*.txt"))
DEPENDENCIES = "docs/decisions/0008-the-dependencies.md"
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def text_of(name: str) -> str:
    return (BASE_DIR / name).read_text()


@cache
def sources() -> list[Path]:
    """The program itself: no tests, whose variables are between them and the processes that they start."""
    modules = chain.from_iterable((BASE_DIR / package).rglob("*.py") for package in PACKAGES)
    return [BASE_DIR / "manage.py", *(path for path in modules if "tests" not in path.parts)]


def named(path: Path) -> str:
    return str(path.relative_to(BASE_DIR))


# --- promises -----------------------------------------------------------------------------------------
def names_of_tests(text: str) -> set[str]:
    return set(re.findall(r"`(test_\w+)`", text))


@cache
def every_test() -> set[str]:
    files = BASE_DIR.glob("*/**/test_*.py")
    return {name for path in files for name in re.findall(r"def (test_\w+)", path.read_text())}


def test_every_promise_is_held_by_tests_that_exist() -> None:
    page = text_of("docs/promises.md")
    held = [names_of_tests(promise) for promise in re.split(r"^\d+\. ", page, flags=re.MULTILINE)[1:]]
    assert len(held) == 11
    assert all(held)
    assert set().union(*held) <= every_test()


def test_every_fault_has_tests_that_exist() -> None:
    rows = re.findall(r"^\| (?!fault |---).*", text_of("docs/faults.md"), re.MULTILINE)
    assert rows
    assert [row for row in rows if not names_of_tests(row) or names_of_tests(row) - every_test()] == []


# --- environment variables ----------------------------------------------------------------------------
READ_BY_OTHERS = {
    "WEB_CONCURRENCY",  # gunicorn
}
THE_SYSTEMS_OWN = {"PATH"}


def variables_read() -> set[str]:
    """What the code, the Makefile's recipes and docker-compose.yml take from the environment."""
    read = set(chain.from_iterable(_read_in(path) for path in sources()))
    read.update(re.findall(r"\$\$\{?([A-Z_]+)", text_of("Makefile")))
    read.update(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text_of("docker-compose.yml")))
    return read - THE_SYSTEMS_OWN


def _read_in(path: Path) -> Iterator[str]:
    """`env.str("NAME")`, `os.environ.get("NAME")`, `os.environ["NAME"]`, `os.getenv("NAME")`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args:
            asked, argument = ast.unparse(node.func), node.args[0]
        elif isinstance(node, ast.Subscript):
            asked, argument = ast.unparse(node.value), node.slice
        else:
            continue
        if re.match(r"(env|environ|os\.environ|os\.getenv)\b", asked) and isinstance(argument, ast.Constant):
            yield str(argument.value)


def test_every_environment_variable_is_in_the_example() -> None:
    documented = re.findall(r"^#? ?([A-Z_]+)=", text_of(".env.example"), re.MULTILINE)
    assert sorted(documented) == sorted(variables_read() | READ_BY_OTHERS)


def test_every_environment_variable_is_on_the_page_of_the_configuration() -> None:
    table = "".join(re.findall(r"^\| (`.*?) \|", text_of("docs/configuration.md"), re.MULTILINE))
    assert sorted(re.findall(r"`([A-Z_]+)`", table)) == sorted(variables_read() | READ_BY_OTHERS)


def test_a_copy_of_the_example_changes_nothing() -> None:
    assert all(line.startswith("#") for line in text_of(".env.example").splitlines() if line)


# --- targets and commands -----------------------------------------------------------------------------
def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", text_of("Makefile"), re.MULTILINE))


def code_in(page: Path) -> Iterator[str]:
    """The blocks and the inline pieces of code."""
    text = page.read_text()
    yield from FENCED.findall(text)
    yield from re.findall(r"`([^`]+)`", FENCED.sub("", text))


def test_every_make_target_is_explained() -> None:
    explained = text_of("README.md") + text_of("CONTRIBUTING.md")
    assert {target for target in targets() if not re.search(rf"\bmake {target}\b", explained)} == set()


def test_every_command_of_ours_is_explained() -> None:
    folders = [BASE_DIR / package / "management" / "commands" for package in PACKAGES]
    ours = {path.stem for folder in folders for path in folder.glob("[!_]*.py")}
    assert {*re.findall(r"^\| `(\w+)", text_of("docs/commands.md"), re.MULTILINE)} == ours


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_a_page_says_to_type_exists(page: Path) -> None:
    code = "\n".join(code_in(page))
    assert {*re.findall(r"\bmake ([a-z]+)", code)} <= targets()
    assert {*re.findall(r"\bmanage\.py ([a-z_]+)", code)} <= get_commands().keys()


# --- dependencies -------------------------------------------------------------------------------------
def lines_of(path: Path) -> Iterable[str]:
    """The requirements in a file, without comments and options."""
    return (line for line in path.read_text().splitlines() if re.match(r"[A-Za-z]", line))


def test_every_direct_dependency_has_its_reason() -> None:
    files = (BASE_DIR / "requirements").glob("*.in")
    direct = {re.split(r"[^\w.-]", line)[0] for path in files for line in lines_of(path)}
    justified = re.findall(r"^- `([\w.-]+)(?:\[.*?\])?`: ", text_of(DEPENDENCIES), re.MULTILINE)
    assert sorted(justified) == sorted(direct)


@pytest.mark.parametrize("lock", LOCKS, ids=named)
def test_every_requirement_is_pinned_with_its_hashes(lock: Path) -> None:
    pinned = re.compile(r"[\w.-]+(\[[\w,-]+\])?==[\w.]+( ; [^\n]+?)?( +--hash=sha256:[0-9a-f]{64})+")
    text = lock.read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if re.match(r"[A-Za-z]", line)]
    assert len(lines) > 30
    assert [line for line in lines if not pinned.fullmatch(line)] == []


# --- pages --------------------------------------------------------------------------------------------
def anchors(page: Path) -> set[str]:
    """The headings as GitHub makes them into addresses."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        aim = (page.parent / name).resolve() if name else page
        assert aim.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(aim), f"{aim.name} has no heading #{anchor}"


@pytest.mark.parametrize("page", ["README.md", "docs/first-import.md"])
def test_every_button_that_the_first_import_names_is_in_the_admin(page: str) -> None:
    labels = set(
        re.findall(r"\*\*([^*]+)\*\*", text_of(page).partition("irst import")[2].partition("\n## What else")[0])
    )
    templates = "".join(path.read_text() for path in (BASE_DIR / "templates" / "admin").rglob("*.html"))
    assert labels
    assert {label for label in labels - {"Products", "Import"} if not re.search(rf'["}}]{label}', templates)} == set()


LINK = re.compile(r"\[([^\]]+)\]\(([^)\s#]+)")


def test_the_index_leads_to_every_page() -> None:
    index = BASE_DIR / "docs" / "README.md"
    listed = {(index.parent / target).resolve() for _, target in LINK.findall(index.read_text())}
    assert [named(page) for page in (BASE_DIR / "docs").rglob("*.md") if page not in {index, *listed}] == []


def test_the_index_has_every_decision_under_its_title() -> None:
    index = {target: f"# {title}" for title, target in LINK.findall(text_of("docs/README.md"))}
    for page in (BASE_DIR / "docs" / "decisions").glob("*.md"):
        title = re.sub(r"^# \d+\. ", "# ", page.read_text().partition("\n")[0])
        assert index[f"decisions/{page.name}"] == title


NAMES_A_PATH = re.compile(rf"(?:{'|'.join(PACKAGES)}|bench|docs|requirements|templates|tests)/[\w./-]+")
NAMES_A_FILE = re.compile(r"\w+\.py")
NAMES_A_MODULE = re.compile(rf"(?:{'|'.join(PACKAGES)}|bench|tests)(?:\.[a-z_]+)+")
MADE_UP = {"catalog.name", "catalog/tests/feeds/NAME.xml"}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_and_module_that_a_page_names_exists(page: Path) -> None:
    code = {piece for piece in re.findall(r"`([^`\n]+)`", FENCED.sub("", page.read_text())) if piece not in MADE_UP}
    assert [piece for piece in code if NAMES_A_PATH.fullmatch(piece) and not (BASE_DIR / piece).exists()] == []
    assert {piece for piece in code if NAMES_A_FILE.fullmatch(piece)} <= {path.name for path in sources()}
    assert [piece for piece in code if NAMES_A_MODULE.fullmatch(piece) and not _is_importable(piece)] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_a_page_says_is_in_a_file_is_there(page: Path) -> None:
    for name, file in re.findall(r"`(\w+)` (?:in|of) `([\w/]+\.py)`", page.read_text()):
        assert re.search(rf"^(?:def|class) {name}\b|^{name}\b.* = ", text_of(file), re.MULTILINE), f"{name} in {file}"


def _is_importable(name: str) -> bool:
    """A module, or what a module has: `catalog.tasks`, `config.settings.base`, `catalog.imports.confirm.confirm`."""
    path = BASE_DIR / name.replace(".", "/")
    holder, _, last = name.rpartition(".")
    return path.is_dir() or path.with_suffix(".py").exists() or hasattr(import_module(holder), last)


ARCHITECTURE = "docs/architecture.md"


def test_every_room_of_the_architecture_has_the_modules_it_names() -> None:
    rooms = re.findall(r"^\| `([\w/]+/)` \| (.+?) \|", text_of(ARCHITECTURE), re.MULTILINE)
    named_modules = [BASE_DIR / room / f"{name}.py" for room, names in rooms for name in re.findall(r"`(\w+)`", names)]
    assert len(named_modules) > 50
    assert [named(path) for path in named_modules if not path.exists()] == []


def test_every_module_of_the_catalogue_is_in_a_room() -> None:
    rooms = dict(re.findall(r"^\| `(catalog/[\w/]*)` \| (.+?) \|", text_of(ARCHITECTURE), re.MULTILINE))
    unnamed = [
        named(path)
        for path in sorted((BASE_DIR / "catalog").rglob("*.py"))
        if not {"tests", "migrations", "management", "templatetags"} & {*path.parts}
        and path.stem != "__init__"
        and f"`{path.stem}`" not in rooms.get(f"{named(path.parent)}/", "")
    ]
    assert unnamed == []


def test_every_table_is_in_the_architecture() -> None:
    section = text_of(ARCHITECTURE).partition("\n## Tables\n")[2].partition("\n## ")[0]
    models = [model for model in apps.get_models() if not model._meta.proxy]
    ours = {model.__name__ for model in models if model.__module__.partition(".")[0] in PACKAGES}
    assert {*re.findall(r"^\| ([A-Z]\w+) \|", section, re.MULTILINE)} == ours


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    checked = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert "\n".join(["```", *checked, "```"]) in text_of("CONTRIBUTING.md")


def test_every_page_that_code_refers_to_exists() -> None:
    others = [BASE_DIR / name for name in ("Makefile", "Dockerfile", "docker-compose.yml")]
    for path in [*sources(), *others, *(BASE_DIR / "requirements").glob("*.in")]:
        for name in re.findall(r"\bdocs/[\w/-]+", path.read_text()):
            assert [*BASE_DIR.glob(f"{name}*")], f"{named(path)} refers to {name}"


# --- the attribute table ------------------------------------------------------------------------------
def test_every_attribute_is_a_column_and_on_the_products_page() -> None:
    attributes = {attribute.name for attribute in COLUMNS} | {"currency", "extra"}
    assert {field.name for field in ItemFields._meta.get_fields()} | {"id"} == attributes
    shown = str(admin.site.get_model_admin(Product).fieldsets)
    assert {name for name in attributes if f"'{name}'" not in shown} == set()


def test_the_newest_release_of_the_changelog_is_the_version() -> None:
    releases = re.findall(r"^## \[([\d.]+)\]", text_of("CHANGELOG.md"), re.MULTILINE)
    assert releases[0] == settings.VERSION
