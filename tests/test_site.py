"""The site's pages, before it is built: every public name is on one of them, every optimizer is told of.

`.ci/run` builds the site whole and checks it by `docs/check_site.py`.
"""

import functools
import importlib
import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gradchain as gc

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

from hooks import api_pages, docstrings, linking, links_out, optimizer_pages, pictures, public, stubs  # noqa: E402


@functools.cache
def optimizers() -> dict[str, str]:
    """The pages of optimizers, without pictures."""
    return optimizer_pages.pages(None)


def shown() -> list[str]:
    """The paths that the pages show in full, each as often as it is shown."""
    pages = api_pages.pages() | optimizers()
    return [path for text in pages.values() for path in re.findall(r"^::: (\S+)$", text, re.M)]


def test_every_public_name_is_on_one_page() -> None:
    counts = Counter(shown())
    assert set(counts.values()) == {1}
    entries = public.entries()
    assert set(counts) == set(entries)
    assert len(entries) > 600


def test_the_pages_have_what_users_can_reach() -> None:
    """Read from the modules themselves, not from the generator's own list."""
    paths = linking.paths()
    for place in ("", ".contrib", ".tree_utils", ".losses", ".tools"):
        module = f"gradchain{place}"
        home = importlib.import_module(module)
        for name in set(dir(home)):
            value = getattr(home, name)
            if name.startswith("_") or inspect.ismodule(value):
                continue
            if place and not (getattr(value, "__module__", None) or "").startswith("gradchain"):
                continue
            entry = public.entries()[paths[f"{module}.{name}"]]
            assert entry.value is value


def test_a_page_shows_what_help_shows() -> None:
    text = stubs.stub(public.entries()["gradchain.adamw"])
    assert "decay of the first moment, in [0, 1).".replace("[", "&#91;") in text
    assert "learning_rate: ScalarOrSchedule, b1: ScalarOrSchedule = 0.9" in text
    assert "-> GradientTransformationExtraArgs:" in text
    assert "**References:**" in text
    assert "https://arxiv.org/abs/1711.05101" in text
    fields = stubs.description(public.entries()["gradchain.AsgdState"])
    assert "- `ax: Params`: like params, at least float32; the average" in fields
    assert "- `eval_params(params: Params) -> Params`: The averaged parameters" in fields


def test_every_stub_is_python() -> None:
    for entry in public.entries().values():
        compile(stubs.stub(entry), entry.path, "exec")


def test_every_optimizer_is_told_of_once() -> None:
    told = Counter(n for table in optimizer_pages.FAMILIES.values() for n in table if n != "text")
    assert dict(told) == dict.fromkeys(public.optimizers(), 1)
    for name in told:
        sentence = optimizer_pages.when(name)
        assert sentence.endswith(".")
        assert len(sentence) > 30
    pages = optimizers()
    assert set(pages) == {"optimizers.md", *(f"optimizers/{name}.md" for name in told)}
    assert all(optimizer_pages.when(n).split("`")[0] in pages[f"optimizers/{n}.md"] for n in told)
    assert set(pictures.NOT_DRAWN) | set(pictures.REMARKS) <= set(told)


def in_navigation(items: Any) -> Iterator[str]:
    """The pages of a navigation."""
    for item in items:
        for value in item.values() if isinstance(item, dict) else [item]:
            yield from [value] if isinstance(value, str) else in_navigation(value)


def settings() -> Any:
    """What `mkdocs.yml` says."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def test_every_page_is_in_the_navigation() -> None:
    docs = ROOT / "docs"
    written = {str(f.relative_to(docs)) for f in docs.rglob("*.md")}
    # The hook adds the answers in howto/.
    written = {page for page in written if not page.startswith("howto/") or page == "howto/index.md"}
    listed = list(in_navigation(settings()["nav"]))
    assert len(listed) == len(set(listed))
    assert set(listed) - {"api/index.md"} == written


def test_nothing_comes_from_another_host() -> None:
    config = settings()
    assert config["theme"]["font"] is False
    for key in ("extra_css", "extra_javascript"):
        assert not any("//" in str(address) for address in config.get(key, []))
    assert all((ROOT / "docs" / script).is_file() for script in config["extra"]["polyfills"])
    assert config["strict"] is True


def test_sections_of_a_docstring() -> None:
    doc = (
        "Adds one: y = x + 1, see `scale`.\n\ny = x * a;\nz = <x>.\n\n"
        "Args:\n    a, b: two\n        numbers.\n\n"
        "State: none. Memory: none.\nRaises: ValueError for [1].\n"
        "Reference: A, 2020, B, arXiv:2001.00001.\n\n"
        "Example:\n    >>> f(1)\n    2"
    )
    assert docstrings.markdown(doc) == (
        "Adds one: y = x + 1, see `scale`.\n\n"
        "y = x &#42; a;  \nz = &#60;x&#62;.  \n{: .formula }\n\n"
        "**Arguments:**\n\n- `a`{.argument}, `b`{.argument}: two numbers.\n\n"
        "**State:** none.\n\n**Memory:** none.\n\n**Raises:** ValueError for &#91;1&#93;.\n\n"
        "**References:** A, 2020, B, [arXiv:2001.00001](https://arxiv.org/abs/2001.00001).\n\n"
        "**Example:**\n\n```pycon\n>>> f(1)\n2\n```"
    )


def test_names_become_links_where_they_can_mean_nothing_else() -> None:
    linked = linking.linked
    assert linked("`gc.adam` and `adamw(1e-3)`") == (
        "[`gc.adam`][gradchain.adam] and [`adamw(1e-3)`][gradchain.adamw]"
    )
    assert linked("`optimizers.adam`") == "[`optimizers.adam`][gradchain.adam]"
    for as_it_is in (
        "`learning_rate` and `nothing`",  # an argument; no name
        "# With `adam`",
        "[`adam`](adam.md)",
        "```python\n`gc.adam`\n```",
    ):
        assert linked(as_it_is) == as_it_is
    assert linked("`adam`", but={"adam"}) == "`adam`"


def test_links_that_leave_the_documents_go_to_the_repository() -> None:
    def absolute(text: str) -> str:
        return links_out.absolute(text, "frameworks/jax.md", "https://host/repo")

    assert absolute("[c](../../CONTRIBUTING.md#x)") == "[c](https://host/repo/blob/main/CONTRIBUTING.md#x)"
    assert absolute("[t](../../tests)") == "[t](https://host/repo/tree/main/tests)"
    for as_it_is in ("[s](../steps.md)", "[a](#x)", "[h](https://x.org/y)"):
        assert absolute(as_it_is) == as_it_is
    with pytest.raises(FileNotFoundError, match=r"frameworks/jax\.md links to \.\./\.\./nothing\.md"):
        absolute("[n](../../nothing.md)")


def test_pictures_are_drawn_anew_when_the_code_changes() -> None:
    code = pictures._code
    assert code('"""A."""\nx = 1') == code('"""B."""\nx = 1')
    assert code("x = 1") != code("x = 2")
    assert gc.__version__
    assert set(pictures.names()) | set(pictures.NOT_DRAWN) == set(public.optimizers())


def test_what_is_wrong_with_a_built_site_is_found(tmp_path: Path) -> None:
    import check_site

    (tmp_path / "folder").mkdir()
    (tmp_path / "a.css").write_text("@import 'https://host/b.css'; b { background: url(//host/c.png) }")
    (tmp_path / "folder" / "other.html").write_text('<p id="here"></p>')
    right = (
        '<a href="folder/other.html#here"></a><a href="https://host"></a><a href="#top"></a><b id="top">'
        '<link rel="stylesheet" href="a.css"><link rel="canonical" href="https://host/page">'
    )
    (tmp_path / "page.html").write_text(right)
    sheet = ["a.css loads https://host/b.css", "a.css loads //host/c.png"]
    assert check_site.broken(tmp_path) == sheet
    wrong = (
        '<a href="no.html"></a><a href="folder/other.html#no"></a><script src="https://host/x.js"></script>'
    )
    (tmp_path / "page.html").write_text(right + wrong)
    assert check_site.broken(tmp_path) == [
        "page.html: no anchor for folder/other.html#no",
        "page.html loads https://host/x.js",
        "page.html: no file for no.html",
        *sheet,
    ]
