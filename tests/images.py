"""Pin the container images by digest: `python -m tests.images`. Each `name:tag` becomes `name:tag@sha256:…`.

Docker asks the registry. Where none answers, nothing is changed, and the exit code is 1.
"""

import re
import subprocess
import sys

from devservers import BASE_DIR

FILES = ("Dockerfile", "docker-compose.yml")
IMAGE = re.compile(r"^((?:FROM|    image:) )([\w./-]+:[\w.-]+)(?:@sha256:[0-9a-f]{64})?", re.MULTILINE)


def digest_of(image: str) -> str:
    """What the registry says of the tag now, for all platforms."""
    command = ["/usr/bin/env", "docker", "buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", run.stdout.strip()):
        sys.exit(f"The registry says nothing of {image}: {run.stderr.strip()[-200:]}")
    return run.stdout.strip()


def pinned(text: str, digests: dict[str, str]) -> str:
    return IMAGE.sub(lambda found: f"{found[1]}{found[2]}@{digests[found[2]]}", text)


def main() -> None:
    texts = {name: (BASE_DIR / name).read_text() for name in FILES}
    images = sorted({found[1] for text in texts.values() for found in IMAGE.findall(text)})
    digests = {image: digest_of(image) for image in images}
    for name, text in texts.items():
        (BASE_DIR / name).write_text(pinned(text, digests))
        print(f"{name}: {', '.join(image for image in images if image in text)}")


if __name__ == "__main__":
    main()
