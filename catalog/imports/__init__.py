"""The operations on an import, one function each; admin, API, tasks and commands are thin faces over them.

`receive` → `stage` → `plan` → `review` (a person, or nobody where none is needed) → `apply`, or `discard`.
"""
