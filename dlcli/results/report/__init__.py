"""A report on a run: what is in it (`gather.py`), and how it is shown as a page, as Markdown and as a model card."""
