"""What builds the site: pages from the package, pictures, links. `mkdocs.yml` names `main.py`."""
