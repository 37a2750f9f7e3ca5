#!/bin/sh
# What openpyxl 3.1.5 does to texts, seen with Python 3.11:
#  - a text of a cell (inlineStr) keeps the letters x005F_, by which Excel writes an underscore; a shared text loses them,
#    so that the text _x0041_, which Excel writes as _x005F_x0041_, can no longer be told from the letter A;
#  - a text longer than 32,767 characters is cut when it is put into a cell, without a word, and counted in code points,
#    where Excel counts units of UTF-16;
#  - of a sheet whose <dimension> says A1, reading row by row gives one cell and drops the others.
# Fails when one of these changes. Needs the package index for the pinned packages; leaves nothing behind.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openpyxl==3.1.5 et-xmlfile==2.0.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import io
import re
import zipfile

import openpyxl

KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def rewritten(book, **changes):
    """The saved workbook with parts of it changed, by the ends of their names."""
    saved, out = io.BytesIO(), io.BytesIO()
    book.save(saved)
    source = zipfile.ZipFile(saved)
    with zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            change = next((c for word, c in changes.items() if name.endswith(f"{word}.xml")), lambda text: text)
            target.writestr(name, change(source.read(name).decode()))
        if "sheet1" in changes and "Types]" in changes:
            target.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}"><si><t>_x005F_x0041_</t></si></sst>')
    out.seek(0)
    return openpyxl.load_workbook(out, read_only=True, data_only=True).active


def book_with(*row):
    book = openpyxl.Workbook()
    book.active.append(row)
    return book


(inline,) = next(rewritten(book_with("_x005F_x0041_")).iter_rows(values_only=True))
(shared,) = next(
    rewritten(
        book_with("T"),
        sheet1=lambda text: text.replace('t="inlineStr"><is><t>T</t></is>', 't="s"><v>0</v>'),
        **{"Types]": lambda text: text.replace("</Types>", f'<Override PartName="/xl/sharedStrings.xml" ContentType="{KIND}"/></Types>')},
    ).iter_rows(values_only=True)
)
cut = len(book_with("x" * 40_000).active["A1"].value)
emoji = len(book_with("\U0001f457" * 40_000).active["A1"].value.encode("utf-16-le")) // 2
narrow = rewritten(book_with("a", "b"), sheet1=lambda text: re.sub(r'ref="[^"]*"', 'ref="A1"', text, count=1))
row = next(narrow.iter_rows(values_only=True))
print(f"openpyxl {openpyxl.__version__}: in a cell {inline}, shared {shared}; 40,000 characters become {cut:,}, "
      f"40,000 emoji {emoji:,} units; a row of two cells under <dimension ref=\"A1\"> is {row}")
assert (inline, shared, cut, emoji, row) == ("_x005F_x0041_", "_x0041_", 32_767, 65_534, ("a",)), "it has changed"
PYTHON
