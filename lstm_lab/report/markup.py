"""HTML that cannot be injected into: text is escaped unless this module made it.

Names, prompts, generated text and error messages come from files that anybody may have written.
Everything on the page is built by :func:`tag`, which escapes each child that is not already
:class:`Markup` and every attribute value.
"""

import html
import unicodedata
from collections.abc import Iterable

# Control, format (bidirectional overrides among them), surrogate, line and paragraph separator:
# invisible, able to reorder their neighbours, or impossible to write as UTF-8.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def visible(value: object) -> str:
    r"""Write invisible characters as escapes, so that a reader sees what is there.

    Args:
        value: anything; its `str` is taken.

    Returns:
        The text, printable and encodable; new lines and tabs stay.

    >>> visible("a\u202eb\x00")
    'a\\u202eb\\x00'
    """
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in _INVISIBLE and char not in "\n\t"
        else char
        for char in str(value)
    )


def escape(value: object) -> Markup:
    """Make any value safe as text and inside a quoted attribute.

    Args:
        value: anything; `Markup` passes unchanged.

    Returns:
        HTML showing the value.

    >>> escape('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return value if isinstance(value, Markup) else Markup(html.escape(visible(value)))


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """Build one element.

    Args:
        name: element name, written by the caller, never data.
        *children: text, escaped, or `Markup`.
        **attributes: values are escaped; `class_` is `class`, other underscores become hyphens.

    Returns:
        The element.

    >>> tag("p", "1 < 2", tag("b", "yes"), class_="note")
    '<p class="note">1 &lt; 2<b>yes</b></p>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(visible(value))}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Markup:
    """Put elements side by side.

    Args:
        children: text, escaped, or `Markup`.

    Returns:
        Their concatenation.
    """
    return Markup("".join(map(escape, children)))
