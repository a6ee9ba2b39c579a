"""Parse XML without entities, which could exhaust memory or open files."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as Tree

from earthreason.errors import DataFormatError


def parse_xml(content: str | bytes, place: str) -> Any:
    """Parse XML and return its root element.

    Raises:
        DataFormatError: the content is not XML, or declares a document type or entities.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        return fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataFormatError(
            f"{place}: declares a document type or entities ({type(error).__name__}), which are refused because they "
            "can exhaust memory; remove the declaration"
        ) from None
    except Tree.ParseError as error:
        raise DataFormatError(f"{place}: not XML ({error})") from None
