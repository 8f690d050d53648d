"""``make variables`` documents the variables that settings.py of the service declares.

The table in README.md and the lines of .env.example carry the conditions of the
declarations, so that each service documents exactly its own variables.
"""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.render import SERVICE

TAG = re.compile(r"\{% (if|elif|else|endif) ?(.*?) ?%\}")
README = SERVICE / "README.md"
DOTENV = SERVICE / ".env.example"

# What a development machine needs: make run puts a fresh key in place of the placeholder.
DEVELOPMENT = {"DEBUG": "true", "SECRET_KEY": "change-me"}


@dataclass(frozen=True)
class Variable:
    """A declaration in settings.py; no default means that production needs the variable."""

    name: str
    help: str
    default: str | None
    example: str
    condition: str


def declared() -> list[Variable]:
    """Return the variables of every service, with the condition around each."""
    conditions: list[str] = []
    stack: list[str] = []
    lines = []
    for line in (SERVICE / "config/settings.py").read_text().splitlines():
        tag = TAG.fullmatch(line.strip())
        if tag and tag[1] == "if":
            stack.append(tag[2])
        elif tag and tag[1] == "elif":
            stack[-1] = tag[2]
        elif tag and tag[1] == "else":
            stack[-1] = f"not ({stack[-1]})"
        elif tag:
            stack.pop()
        conditions.append(" and ".join(stack))
        lines.append("" if tag else line)
    tree = ast.parse("\n".join(lines))
    calls = [node for node in ast.walk(tree) if is_declaration(node)]
    calls.sort(key=lambda call: call.lineno)
    names = {"DEBUG": False, **constants(tree)}
    return [variable(call, conditions[call.lineno - 1], names) for call in calls]


def constants(tree: ast.Module) -> dict[str, Any]:
    """Return the names in settings.py that stand for a text or a number."""
    return {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }


def is_declaration(node: ast.AST) -> bool:
    """Return whether a node is a call such as ``env.text("NAME", "What it is for.")``."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and len(node.args) == 2
    )


def variable(call: ast.Call, condition: str, names: dict[str, Any]) -> Variable:
    """Return the variable that a call declares."""
    name, sentence = (ast.literal_eval(argument) for argument in call.args)
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    if "choices" in options:
        sentence += f" One of {', '.join(ast.literal_eval(options['choices']))}."
    default = None
    if "default" in options:
        default = show(options["default"], names)
    elif call.func.attr in {"debug_mode", "networks", "services"}:
        default = "false" if call.func.attr == "debug_mode" else ""
    example = ast.literal_eval(options["example"]) if "example" in options else ""
    return Variable(name, sentence, default, example, condition)


def show(node: ast.expr, names: dict[str, Any]) -> str:
    """Return a default as one would write it in the environment of a production service."""
    if isinstance(node, ast.Set):
        return "{{ cookiecutter.project_name }}"
    value = eval(compile(ast.Expression(node), "default", "eval"), names.copy())
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def row(variable: Variable) -> str:
    """Return the row of a variable in README.md."""
    default = f"`{variable.default}`" if variable.default else ""
    if variable.default is None:
        default = "**required**"
    if "project_name" in default:
        default = "name of the service"
    return f"| `{variable.name}` | {variable.help} | {default} |"


def line(variable: Variable) -> str:
    """Return the lines of a variable in .env.example."""
    if variable.name in DEVELOPMENT:
        return f"\n# {variable.help}\n{variable.name}={DEVELOPMENT[variable.name]}"
    value = variable.default or variable.example
    value = "" if "project_name" in value else value
    return f"\n# {variable.help}\n# {variable.name}={value}"


def conditional(variables: list[Variable], write: Callable[[Variable], str]) -> str:
    """Return a text for each variable, under the condition that it has in settings.py."""
    lines: list[str] = []
    current = ""
    for each in variables:
        if each.condition != current:
            lines += ["{% endif %}"] if current else []
            lines += [f"{{% if {each.condition} %}}"] if each.condition else []
            current = each.condition
        lines.append(write(each))
    lines += ["{% endif %}"] if current else []
    return "\n".join(lines)


def documents() -> dict[Path, str]:
    """Return what README.md and .env.example ought to contain."""
    variables = declared()
    head = "| Variable | What it is for | Default |\n"
    table = f"{head}| --- | --- | --- |\n{conditional(variables, row)}\n"
    before, _, rest = README.read_text().partition(head)
    after = "".join(re.split(r"(?m)^(?!\||\{%)", rest, maxsplit=1)[1:])
    comment = DOTENV.read_text().partition("\n\n")[0]
    return {
        README: f"{before}{table}{after}",
        DOTENV: f"{comment}\n{conditional(variables, line)}\n",
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)
        print(f"Wrote the variables into {path.name}")
