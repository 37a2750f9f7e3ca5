"""Imports while workers, connections, the database and the broker are killed: `python -m tests.torture --help`.

The driver runs servers and a worker of its own in a temporary folder, lets imports run, kills what it draws, and then
compares with an import that nobody disturbed. `worker` is the worker's side, which can die at named points of the work.
"""
