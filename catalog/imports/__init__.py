"""What can be done with an import: one operation each. Admin, API, tasks and commands are a few lines around them.

`receive` → `stage` → a plan, which a person confirms, or nobody where none is needed (`confirm`) → `apply`, or
`discard`. What was applied can be undone (`request_undo`, `undo`), and that too (`request_redo`, `redo`).
"""

from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.discard import discard
from catalog.imports.edit import edit_product
from catalog.imports.local import import_locally
from catalog.imports.reading.stage import stage
from catalog.imports.receive import plan_again, receive
from catalog.imports.undo import redo, request_redo, request_undo, undo

__all__ = [
    "apply",
    "confirm",
    "discard",
    "edit_product",
    "import_locally",
    "plan_again",
    "receive",
    "redo",
    "request_redo",
    "request_undo",
    "stage",
    "undo",
]
