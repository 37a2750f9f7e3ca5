"""Look for known holes in what production installs: `python -m tests.audit`. Exit 1: there are some.

PyPI is asked. Where it does not answer, or a mirror has no advisories, that is said and is not an error: nobody could
commit without a network. With `--strict`, as before a release, it is one.
"""

import argparse
import json
import subprocess
import sys

from devservers import BASE_DIR

LOCK = BASE_DIR / "requirements/production.txt"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strict", action="store_true", help="fail where PyPI has nothing to say, too")
    strict = parser.parse_args().strict
    command = "-m pip_audit --no-deps --disable-pip --progress-spinner off --format json --requirement".split()
    run = subprocess.run([sys.executable, *command, str(LOCK)], capture_output=True, text=True, check=False)
    try:
        packages = json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"The packages could not be audited: {run.stderr.strip().splitlines()[-1:] or run.returncode}")
        return int(strict)
    unsafe = [(package["name"], package["version"], hole) for package in packages for hole in package.get("vulns", ())]
    for name, version, hole in unsafe:
        fixed = ", ".join(hole["fix_versions"]) or "no release yet"
        print(f"{name} {version} has a known hole, {hole['id']}. Fixed in: {fixed}")
    unknown = sum("skip_reason" in package for package in packages)
    print(f"{len(packages) - unknown} packages audited, {unknown} not known to PyPI, {len(unsafe)} known holes")
    return int(bool(unsafe) or (strict and unknown > 0))


if __name__ == "__main__":
    sys.exit(main())
