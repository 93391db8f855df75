"""The prompts, one Markdown file each. A prompt is a pure function of its values: no clock, no attempt number."""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


def render(prompt: str, **values: Any) -> str:
    """The text of the file `prompt` with `values` in their places.

    Raises:
        jinja2.UndefinedError: a place has no value: a defect, never an empty prompt.
    """
    return _environment().get_template(prompt).render(values)


@cache
def _environment() -> "jinja2.Environment":
    import jinja2  # noqa: PLC0415 - a daemon without a model renders no prompt, nor does a reader's process

    return jinja2.Environment(
        loader=jinja2.PackageLoader("darumad.agents", "prompts"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - a prompt is text for a model, not a page
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
