"""``make filelists`` lists the files of the smallest and the largest service, for the tests."""

from tools.render import ROOT, largest, render, smallest

for which in (smallest, largest):
    path = ROOT / "tests" / "filelists" / f"{which.__name__}.txt"
    path.write_text("".join(f"{name}\n" for name in sorted(render(which()))))
