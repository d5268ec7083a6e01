"""The interactive page in headless Chromium: `python -m tests.view.browser` clicks, folds and
searches, and times layout and frames at 100, 1 000 and 5 000 nodes. Needs `chromium` on the path.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import tracer
from tracer.view import draw

ACTIONS = """
<script>
const results = {};
const press = key => {
  const [x, y] = tracerView.at(key), target = document.getElementById("canvas");
  const where = {clientX: x, clientY: y, pointerId: 1, bubbles: true};
  for (const kind of ["pointerdown", "pointerup"])
    target.dispatchEvent(new PointerEvent(kind, where));
};
HTMLCanvasElement.prototype.setPointerCapture = () => {};
const choose = mode => {
  const fold = document.getElementById("fold");
  fold.value = mode;
  fold.dispatchEvent(new Event("change"));
};
addEventListener("load", () => {
  try {
    const first = tracerView.scene().items.find(item => item.vertex.kind === "node").vertex.key;
    press(first);
    results.selected = tracerView.selected() === first;
    results.panel = document.getElementById("panel").textContent;
    const search = document.getElementById("search");
    search.value = "sin";
    search.dispatchEvent(new Event("input"));
    results.found = document.getElementById("found").textContent;
    results.items = tracerView.scene().items.length;
    const start = performance.now();
    choose("line");
    results.fold_ms = performance.now() - start;
    results.by_line = tracerView.scene().items.length;
    choose("none");
    results.frame_ms = tracerView.frames(30);
    results.move_ms = tracerView.moves(30);
    document.getElementById("closer").click();
    document.getElementById("closer").click();
    document.getElementById("closer").click();
    results.frame_near_ms = tracerView.frames(30);
  } catch (error) { results.error = String(error.stack || error); }
  const out = document.createElement("script");
  out.type = "application/json";
  out.id = "results";
  out.textContent = JSON.stringify(results);
  document.body.append(out);
});
</script>
"""


def long(count):
    """A chain of `count` operations, on three lines."""

    def chain(x):
        for _ in range(count // 3):
            x = np.sin(x) * 1.01 + x
        return x

    return tracer.jit(chain, source=False)


def visit(page: str) -> dict:
    """What the actions found on a page."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        sys.exit("chromium is not installed")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(page.replace("</body>", ACTIONS + "</body>"))
        words = [program, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        words += ["--window-size=1400,900", "--virtual-time-budget=20000", file.as_uri()]
        done = subprocess.run(words, capture_output=True, check=True, text=True)
    found = re.search(r'id="results">(.*?)</script>', done.stdout, re.DOTALL)
    if found is None:
        sys.exit("the page did not finish")
    return json.loads(found.group(1))


def main() -> None:
    """Print one line a size; a wrong answer of the page ends it."""
    for count in (100, 1000, 5000):
        start = time.perf_counter()
        picture = draw(long(count), 0.1)
        drawn = time.perf_counter()
        page = picture.html()
        written = time.perf_counter()
        results = visit(page)
        assert "error" not in results, results["error"]
        assert results["selected"], results
        assert "Adjoint" in results["panel"], results["panel"]
        assert re.fullmatch(r"\d+ found", results["found"]), results["found"]
        assert results["by_line"] < results["items"], results
        print(
            f"{count:>5} nodes: values and derivatives {drawn - start:.2f} s, "
            f"layout and page {written - drawn:.2f} s, {len(page) >> 10} KiB; in the browser "
            f"fold {results['fold_ms']:.0f} ms, frame {results['frame_ms']:.1f} ms whole, "
            f"{results['move_ms']:.1f} ms while it moves, "
            f"{results['frame_near_ms']:.1f} ms near"
        )


if __name__ == "__main__":
    main()
