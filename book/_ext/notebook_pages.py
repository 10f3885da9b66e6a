"""The students' notebooks as pages of the book: read, never run, and with buttons that open them elsewhere.

`notebooks/` holds what `make release` makes, byte for byte, so what a page needs beyond that is added while Sphinx
reads it:
- a description, for search engines;
- a name for each exercise, so that `{ref}` leads to it: ``exercise-kl_normal``;
- references to the book's equations in place of the links by which a notebook finds them from anywhere;
- below the title, the ``{launch}`` buttons.

Where the buttons lead is said in one place, the blocks `repository` and `launch_buttons` of `_config.yml`, which are
Jupyter Book's own. The theme would make a menu of them, on every page with code; here they belong to the notebooks.
That nothing is run is said in `_config.yml` too, under `execute`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

FOLDER = "notebooks/"
SERVICES = ("colab_url", "binderhub_url", "jupyterhub_url")
_EXERCISE = re.compile(r"^statement-(?P<name>\w+)$")
_EQUATION = re.compile(r"\[equation ([\w-]+)\]\([^)\s]+\)")


# ------------------------------------------------------------------ where the buttons lead


@dataclass(frozen=True)
class Repository:
    """Where the book's sources are published."""

    url: str
    branch: str

    @property
    def parts(self) -> tuple[str, str]:
        """Its host, and its path there: `github.com` and `owner/name`."""
        address = urlsplit(self.url)
        return address.netloc, address.path.strip("/").removesuffix(".git")


def read_repository(url: str, branch: str) -> Repository | None:
    """The repository of these settings; None if it has no address yet."""
    if not url:
        return None
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not re.fullmatch(r"/[^/]+(/[^/]+)+/?", address.path):
        raise ExtensionError(f"_config.yml: repository.url must be like https://host/owner/name, got {url!r}")
    return Repository(url.rstrip("/"), branch or "main")


def launch_links(path: str, repository: Repository | None, services: dict[str, str]) -> list[tuple[str, str]]:
    """What opens the notebook at this path of the repository elsewhere, as (service, address).

    `services` has the addresses of Colab, a BinderHub and a JupyterHub; one that is missing or empty has no link. Colab
    opens what is on GitHub only. The JupyterHub needs nbgitpuller.
    """
    if unknown := sorted(set(services) - set(SERVICES)):
        raise ExtensionError(f"_config.yml: launch_buttons has {', '.join(unknown)}; it knows {', '.join(SERVICES)}")
    if repository is None:
        return []
    colab, binder, hub = (str(services.get(name) or "").rstrip("/") for name in SERVICES)
    host, name = repository.parts
    branch, lab = quote(repository.branch, safe=""), "lab/tree/"
    links = []
    if colab and host == "github.com":
        links.append(("Colab", f"{colab}/github/{name}/blob/{quote(repository.branch)}/{quote(path)}"))
    if binder:
        where = {"github.com": f"gh/{name}", "gitlab.com": f"gl/{quote(name, safe='')}"}
        found = where.get(host, f"git/{quote(repository.url, safe='')}")
        links.append(("Binder", f"{binder}/v2/{found}/{branch}?{urlencode({'urlpath': lab + path})}"))
    if hub:
        # nbgitpuller clones into a folder that is named as the repository.
        pulled = f"{lab}{name.rpartition('/')[2]}/{path}"
        query = {"repo": repository.url, "branch": repository.branch, "urlpath": pulled}
        links.append(("JupyterHub", f"{hub}/hub/user-redirect/git-pull?{urlencode(query)}"))
    return links


def install_command(repository: Repository) -> str:
    """What a notebook that was opened alone, as Colab does, runs first."""
    return f"%pip install git+{repository.url}@{repository.branch}"


def download_link(name: str, text: str) -> str:
    """A link that saves the notebook. It holds all of it: a browser shows a file that lies beside a page on a disk,
    whatever the link says."""
    content = quote(text, safe=" /?:@!$'()*+,;=[]{}|^`\\")
    address = f"data:application/x-ipynb+json;charset=utf-8,{content}"
    return f'<a class="gm-button" download="{name}" href="{address}">Download</a>'


# ------------------------------------------------------------------ reading a notebook


def as_page(text: str) -> str:
    """The text of a released notebook, with what its page needs beyond it."""
    notebook = json.loads(text)
    exercises = []
    for position, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "markdown":
            continue
        source = "".join(cell["source"])
        if position == 0:
            title, _, rest = source.partition("\n")
            source = f"{title}\n\n```{{launch}}\n```\n{rest}"
        if exercise := _EXERCISE.match(cell["id"]):
            exercises.append(source.partition("\n")[0].lstrip("# "))
            source = f"(exercise-{exercise['name']})=\n{source}"
        cell["source"] = _EQUATION.sub(r"equation {eq}`\1`", source)
    notebook["metadata"]["myst"] = {"html_meta": {"description": describe(title.lstrip("# "), exercises)}}
    return json.dumps(notebook)


def describe(title: str, exercises: list[str]) -> str:
    """A description within the length that search engines show."""
    said = f"The notebook “{title}”, with {len(exercises)} exercises to write and to check at once: "
    kept = exercises[:1]
    for exercise in exercises[1:]:
        if len(said + "; ".join([*kept, exercise])) > 160:
            return said + "; ".join(kept) + " and more."
        kept.append(exercise)
    return said + "; ".join(kept) + "."


def read_notebook(app, docname, source):
    if docname.startswith(FOLDER) and app.env.doc2path(docname).endswith(".ipynb"):
        source[0] = as_page(source[0])


# ------------------------------------------------------------------ the buttons


class Launch(SphinxDirective):
    """``{launch}``: buttons that open this page's notebook elsewhere, and how to open it here."""

    def run(self):
        path = f"{self.env.docname}.ipynb"
        repository = read_repository(*self.config.launch_repository)
        links = launch_links(path, repository, self.config.launch_services)

        buttons = nodes.paragraph(classes=["gm-launch"])
        text = Path(self.env.doc2path(self.env.docname)).read_text(encoding="utf-8")
        buttons += nodes.raw("", download_link(path.rpartition("/")[2], text), format="html")
        for service, address in links:
            buttons += nodes.Text(" ")
            buttons += nodes.reference("", f"Open in {service}", refuri=address, classes=["gm-button"])

        said = (
            "This is the notebook as students get it: nothing on this page has been run, and the lines that raise "
            "`NotImplementedError` are yours to replace. "
        )
        if repository is None:
            said += f"In a clone of the repository, `make lab` opens it as `{path}`. "
        elif any(service == "Colab" for service, _ in links):
            said += f"Colab has torch, and needs the rest: run `{install_command(repository)}` in a first cell. "
        said += "{doc}`/book/student` goes through it, from opening the notebook to handing it in."
        return [buttons, *self.parse_text_to_nodes(said)]


def take_over(app, config):
    """Read the settings, and leave none for the theme to make a menu of."""
    theme = config.html_theme_options
    config.launch_services = dict(theme.pop("launch_buttons", None) or {})
    config.launch_repository = (theme.get("repository_url") or "", theme.get("repository_branch") or "")
    launch_links("", read_repository(*config.launch_repository), config.launch_services)  # a wrong setting stops here


def setup(app):
    app.add_config_value("launch_services", {}, "env", dict)
    app.add_config_value("launch_repository", ("", ""), "env", tuple)
    # Before the theme looks at its options.
    app.connect("config-inited", take_over, priority=100)
    app.connect("source-read", read_notebook)
    app.add_directive("launch", Launch)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
