"""The attributes of Google's Merchant API that the attribute table lacks, and those that it has and the API lacks.

`python -m bench.google_attributes` downloads the newest google-shopping-merchant-products without installing it, reads
the fields of a product from its source, and prints both lists. Run it at each release of that package.
"""

import ast
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

from catalog.feeds.attributes import ATTRIBUTES, BY_ALIAS

PACKAGE = "google-shopping-merchant-products"
_SOURCE = "merchant_products_v1/types/products_common.py"
_CLASS = "ProductAttributes"


def fields_in(source: str) -> list[str]:
    """The fields of a product in the package's source."""
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == _CLASS]
    statements = [statement for found in classes for statement in found.body]
    return [s.target.id for s in statements if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]


def missing_names(fields: list[str]) -> list[str]:
    """The fields that are no attribute of the table, under any name."""
    return [name for name in fields if name not in BY_ALIAS]


def further_names(fields: list[str]) -> list[str]:
    """The attributes of the table that are no field."""
    return [a.name for a in ATTRIBUTES if not {a.name, *a.aliases} & set(fields)]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(download, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with ZipFile(wheel) as files:
            (source,) = (name for name in files.namelist() if name.endswith(_SOURCE))
            fields = fields_in(files.read(source).decode())
    print(f"{wheel.name}: {len(fields)} fields")
    print(f"not in the table: {', '.join(missing_names(fields)) or 'none'}")
    print(f"only in the table: {', '.join(further_names(fields)) or 'none'}")


if __name__ == "__main__":
    main()
