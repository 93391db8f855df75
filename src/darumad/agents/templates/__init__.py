"""The templates that ship. One file or folder each; a new one is added to the tuple."""

from darumad.agents.template import Template
from darumad.agents.templates import documentation, echo, general

SHIPPED: tuple[Template, ...] = (general.TEMPLATE, documentation.TEMPLATE, echo.TEMPLATE)
"""Every template that ships, by which `darumad.agents.load_template` knows their names."""
