"""``make lock`` pins what every combination of answers needs, with hashes.

All direct dependencies are resolved together, once. Which packages each of them brings is
asked of the resolver too, so that requirements.txt of the service can carry the condition
of every package: the one that pyproject.toml puts around whoever needs it.
"""

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.markers import Marker

from tools.render import ROOT, SERVICE, Answers, complete, context, environment, full_product

HEADER = "# Exact versions, with hashes, of pyproject.toml's {what}: make lock\n"
INCLUDE = "--requirement requirements.txt\n"
TARGETS = [
    {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_system": system.title(),
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": system,
    }
    for system in ("linux", "darwin")
    for version in context()["python_version"]
]
BOUND = re.compile(r'^(    "([\w.-]+)(?:\[[\w,]+\])?>=)[\w.]+', re.MULTILINE)
TAG = re.compile(r"\{% (if|elif|else|endif) ?(.*?) ?%\}")


def requirements(folder: Path, section: str) -> Iterator[tuple[str, str]]:
    """Yield each requirement of a list in pyproject.toml, with the condition around it."""
    text = (folder / "pyproject.toml").read_text()
    _, _, rest = text.partition(f"\n{section} = [\n")
    conditions: list[str] = []
    for line in rest.splitlines():
        if line == "]":
            return
        tag = TAG.fullmatch(line.strip())
        if tag is None:
            yield line.strip(' ",'), " and ".join(conditions)
        elif tag[1] == "if":
            conditions.append(tag[2])
        elif tag[1] == "else":
            conditions[-1] = f"not ({conditions[-1]})"
        elif tag[1] == "endif":
            conditions.pop()
        else:
            sys.exit(f"lock: {line}: write one condition for each requirement")


def resolve(wanted: list[str], *, constraints: str = "", hashes: bool = False) -> str:
    """Return what uv resolves for every Python from 3.12; what is constrained is in its cache."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        lines = "".join(f'    "{requirement}",\n' for requirement in wanted)
        (folder / "pyproject.toml").write_text(
            '[project]\nname = "lock"\nversion = "0"\nrequires-python = ">=3.12"\n'
            f"dependencies = [\n{lines}]\n"
        )
        (folder / "constraints.txt").write_text(constraints)
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate"]
        command += ["--no-emit-index-url", "--no-emit-find-links"]
        command += ["--python-version", "3.12"]
        command += ["--generate-hashes"] if hashes else []
        command += ["--offline"] if constraints else []
        command += ["--constraint", "constraints.txt", "pyproject.toml"]
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"lock: {' '.join(wanted)}\n{done.stderr}")
    return done.stdout


def raise_bounds(folder: Path, section: str, output: str) -> None:
    """Make what uv has resolved the lowest versions that a list in pyproject.toml allows."""
    versions = dict(re.findall(r"^([\w.-]+)==([\w.]+)", output, re.MULTILINE))
    path = folder / "pyproject.toml"
    head, opening, rest = path.read_text().partition(f"\n{section} = [\n")
    listed, closing, tail = rest.partition("\n]\n")
    listed = BOUND.sub(lambda match: f"{match[1]}{versions[match[2]]}", listed)
    path.write_text("".join((head, opening, listed, closing, tail)))


def parse(output: str) -> dict[str, list[tuple[str, str]]]:
    """Return, for each package in uv's output, its lines: a pin with its marker, and hashes."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in output.replace(" \\\n    --hash=", " --hash=").splitlines():
        pin, _, hashes = line.partition(" --hash=")
        pin, _, marker = pin.partition(" ; ")
        if marker:
            installed = [Marker(marker).evaluate(target) for target in TARGETS]
            if not any(installed):
                continue
            pin = pin if all(installed) else f"{pin} ; {marker}"
        found[pin.partition("==")[0]].append((pin, hashes))
    return found


def write(
    path: Path, what: str, needed: list[tuple[str, str]], constraints: str, include: str = ""
) -> None:
    """Write a requirements file with a condition around each package."""
    union = parse(
        resolve([requirement for requirement, _ in needed], constraints=constraints, hashes=True)
    )
    hashes = {
        pin.partition(" ")[0]: known.split(" --hash=")
        for lines in union.values()
        for pin, known in lines
    }
    conditions: dict[str, dict[tuple[str, ...], set[str]]] = defaultdict(lambda: defaultdict(set))
    for requirement, condition in needed:
        for name, lines in parse(resolve([requirement], constraints=constraints)).items():
            conditions[name][tuple(pin for pin, _ in lines)].add(condition)
    text = "".join(block(name, conditions[name], hashes) for name in sorted(union))
    path.write_text(HEADER.format(what=what) + include + merge(text))


def block(
    name: str, variants: dict[tuple[str, ...], set[str]], hashes: dict[str, list[str]]
) -> str:
    """Return the lines of a package; where its markers differ, the widest comes first."""
    ordered = sorted(variants.items(), key=lambda variant: "".join(variant[0]).count(" ; "))
    if len(ordered) > 2 or (len(ordered) == 2 and " ; " in ordered[0][0][0]):
        sys.exit(f"lock: {name} is needed under several markers: {list(variants)}")
    lines = []
    earlier: list[str] = []
    for pins, needed in ordered:
        conditions = simplest(needed, earlier)
        if conditions:
            lines.append(f"{{% {'elif' if earlier else 'if'} {' or '.join(conditions)} %}}")
        elif earlier:
            lines.append("{% else %}")
        for pin in pins:
            known = hashes[pin.partition(" ")[0]]
            lines.append(" \\\n".join([pin, *(f"    --hash={value}" for value in known)]))
        if not conditions:
            break
        earlier += conditions
    return "\n".join(lines) + "\n" + ("{% endif %}\n" if lines[0].startswith("{%") else "")


def simplest(conditions: Iterable[str], earlier: list[str]) -> list[str]:
    """Return conditions without those that the others imply, and none if any always holds."""
    needed = sorted(set(conditions))
    for condition in reversed(needed):
        others = [other for other in needed if other != condition]
        if where(*earlier, *others) == where(*earlier, *needed):
            needed = others
    return needed if len(where(*earlier, *needed)) < len(services()) else []


def where(*conditions: str) -> frozenset[int]:
    """Return the numbers of the services for which any of the conditions holds."""
    return frozenset().union(*map(holding, conditions))


@cache
def holding(condition: str) -> frozenset[int]:
    """Return the numbers of the services for which a condition holds."""
    holds = environment().compile_expression(condition or "true")
    return frozenset(
        number for number, answers in enumerate(services()) if holds(cookiecutter=answers)
    )


@cache
def services() -> list[Answers]:
    """Return every combination of answers, with the private values."""
    return [complete(answers) for answers in full_product()]


def merge(text: str) -> str:
    """Return the text with neighbours under the same condition sharing it."""
    lines: list[str] = []
    opened = ""
    for line in text.splitlines():
        if line.startswith("{% if") and lines and lines[-1] == "{% endif %}" and line == opened:
            lines.pop()
            continue
        if line.startswith("{% e") and line != "{% endif %}":
            opened = ""
        elif line.startswith("{% if"):
            opened = line
        lines.append(line)
    return "\n".join(lines) + "\n"


def together() -> list[tuple[str, str]]:
    """Return what is installed in one environment to check every service in it."""
    of_services = [*requirements(SERVICE, "dependencies"), *requirements(SERVICE, "dev")]
    of_template = [*requirements(ROOT, "dependencies"), *requirements(ROOT, "dev")]
    return of_template + [(line, "") for line, _ in of_services]


def main() -> None:
    """Write the requirements files of the service, and then those of the template itself.

    Since all is resolved together, a service is tested with the versions it is shipped with.
    """
    versions = resolve([line for line, _ in together()], hashes=True)
    update = resolve([line for line, _ in requirements(SERVICE, "update")], hashes=True)
    linters = resolve([line for line, _ in requirements(ROOT, "linters")], hashes=True)
    for folder in (SERVICE, ROOT):
        raise_bounds(folder, "dependencies", versions)
        raise_bounds(folder, "dev", versions)
    raise_bounds(SERVICE, "update", update)
    raise_bounds(ROOT, "linters", linters)
    constraints = re.sub(r" \\\n    --hash=\S+", "", versions)
    run = list(requirements(SERVICE, "dependencies"))
    dev = list(requirements(SERVICE, "dev"))
    tools = list(requirements(ROOT, "dependencies"))
    write(SERVICE / "requirements.txt", "dependencies", run, constraints)
    write(SERVICE / "requirements-dev.txt", "dev group", dev, constraints, INCLUDE)
    write(ROOT / "requirements.txt", "dependencies", tools, constraints)
    write(
        ROOT / "requirements-dev.txt",
        "dependencies and dev group, and of what any service needs",
        together(),
        constraints,
    )
    (SERVICE / "requirements-update.txt").write_text(HEADER.format(what="update group") + update)
    (ROOT / "requirements-linters.txt").write_text(HEADER.format(what="linters group") + linters)


if __name__ == "__main__":
    main()
