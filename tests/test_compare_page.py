"""The report page as a browser shows it: headless Chromium opens it, on a desk and on a phone."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gradchain.compare.command import gradchain

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE, DESK = 375, 1280

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on PATH")

# The page is in a frame, since a window has a least width, and the document around it looks into it.
AROUND = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<script>
const frame = document.createElement("iframe");
frame.style = "border:0; height:800px; width:" + WIDTH + "px";
frame.srcdoc = PAGE;
frame.onload = () => {
  const view = frame.contentWindow, page = frame.contentDocument;
  const all = [...page.querySelectorAll("body *")];
  const style = e => view.getComputedStyle(e);
  // What is wide scrolls in a box of its own.
  const boxes = all.filter(e => ["auto", "scroll"].includes(style(e).overflowX));
  const free = all.filter(e => !boxes.some(box => box != e && box.contains(e)));
  const written = all.filter(e => [...e.childNodes].some(node => node.nodeType == 3 && node.data.trim()));
  const loaded = view.performance.getEntriesByType("resource").map(entry => entry.name);
  const told = document.createElement("pre");
  told.textContent = JSON.stringify({
    width: view.innerWidth,
    scrolls: page.documentElement.scrollWidth,
    beyond: free.filter(e => e.getBoundingClientRect().right > view.innerWidth + 1).map(e => e.outerHTML),
    smallest: Math.min(...written.map(e => parseFloat(style(e).fontSize))),
    viewport: page.querySelector("meta[name=viewport]").content,
    requests: loaded.filter(name => !name.startsWith("data:")),
    images: [...page.images].map(i => ({
      alt: i.alt, pixels: i.naturalWidth, tall: i.naturalHeight > i.naturalWidth, shown: i.clientWidth,
    })),
  });
  document.body.append(told);
};
document.body.append(frame);
</script>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("out")
    options = ["--epochs", "1", "--seeds", "2", "--batch-size", "128", "--out", str(out)]
    chain = "chain(clip_by_global_norm(1.0), rmsprop(1e-3, decay=0.95, eps=1e-6, momentum=0.5))"
    done = CliRunner().invoke(gradchain, ["compare", "digits", *options, "--optimizers", f"sgd,{chain}"])
    assert done.exit_code == 0, done.output
    return (out / "report.html").read_text()


def opened(page: str, width: int, folder: Path) -> dict[str, Any]:
    """What the page looks like in a browser, and what the browser complained of."""
    around = folder / "around.html"
    script = json.dumps(page).replace("<", r"\u003c")
    around.write_text(AROUND.replace("WIDTH", str(width)).replace("PAGE", script))
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={folder / 'profile'}",
        f"--window-size={DESK + 100},1000", "--hide-scrollbars", "--enable-logging=stderr",
        "--dump-dom", around.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    told = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    assert told, done.stderr
    console = re.findall(r":CONSOLE[:(]\d+\)?\] (.*)", done.stderr)
    return json.loads(html.unescape(told[1])) | {"console": console}


@pytest.mark.parametrize("width", [DESK, PHONE], ids=["desk", "phone"])
def test_the_report_opens_in_a_browser(page, width, tmp_path):
    seen = opened(page, width, tmp_path)
    assert seen["width"] == width
    assert seen["console"] == []
    assert seen["requests"] == []
    assert seen["scrolls"] == width  # nothing scrolls sideways
    assert seen["beyond"] == []
    assert seen["smallest"] >= 12
    assert "width=device-width" in seen["viewport"]
    first, second = seen["images"]
    assert "sgd" in first["alt"]
    assert "learning rate" in second["alt"]
    for image in (first, second):
        assert width / 2 < image["shown"] <= width
        assert image["pixels"] >= (2 if width == PHONE else 1) * image["shown"]  # sharp
    assert first["tall"] == (width == PHONE)  # drawn for it


@pytest.mark.parametrize(
    ("fault", "sign"),
    [
        ('<div style="width:700px">wide</div>', lambda seen: seen["beyond"] and seen["scrolls"] > PHONE),
        ('<img src="http://127.0.0.1:9/x.png" alt="x">', lambda seen: seen["console"]),
        ('<p style="font-size:8px">small</p>', lambda seen: seen["smallest"] == 8),
        ('<img src="data:,">', lambda seen: seen["images"][0]["alt"] == ""),
    ],
    ids=["wide", "outside", "small", "no words"],
)  # fmt: skip
def test_faults_would_be_found(page, fault, sign, tmp_path):
    assert sign(opened(page.replace("</h1>", f"</h1>{fault}", 1), PHONE, tmp_path))


def test_requests_would_be_found(page, tmp_path):
    lax = re.sub(r"<meta http-equiv=[^>]*>", "", page)
    assert lax != page  # the page forbids them itself
    seen = opened(
        lax.replace("</h1>", '</h1><img src="http://127.0.0.1:9/x.png" alt="x">', 1), PHONE, tmp_path
    )
    assert seen["requests"] == ["http://127.0.0.1:9/x.png"]
