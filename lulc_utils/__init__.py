"""Shared code of the book *Land Cover Without Labels*: one module per idea, named as the chapter names it."""

__version__ = "0.1.0"
