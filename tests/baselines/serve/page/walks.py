"""Steps that the walks through the page share: open it, ask, and look at pixels of the picture."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

PADDING = 16  # around a picture that fits


class Walk:
    """A page of a browser, with every fault that its console reports."""

    def __init__(self, browser, address, **options):
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.page = self.context.new_page()
        self.faults = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._heard)
        self.page.goto(address)
        self.page.wait_for_selector("#model:not(:empty)")

    def _heard(self, said):
        # A refused request is told on the page; the browser's own line about it is no fault of the page.
        if said.type in ("error", "warning") and not said.text.startswith("Failed to load resource"):
            self.faults.append(said.text)

    def take(self, name="Two blocks"):
        self.page.get_by_role("button", name=name).click()
        self.page.wait_for_function(
            "name => document.querySelector('#picture-said').textContent.includes(name)", arg=name
        )

    def ask(self, *questions):
        for number, question in enumerate(questions):
            if number:
                self.page.get_by_role("button", name="+ Add a question").click()
            self.page.locator("#fields textarea").nth(number).fill(question)
        self.page.keyboard.press("Enter")

    def answered(self, count=1):
        self.page.wait_for_function(
            "count => !document.querySelector('#answers-part').hidden && "
            "document.querySelectorAll('#answers > li').length === count && document.querySelector('#waiting').hidden",
            arg=count,
        )

    def pixels(self):
        """The map as the person sees it: (height, width, 3) of uint8."""
        self.page.wait_for_timeout(150)  # OpenLayers draws in the next frames
        shot = self.page.locator("#map").screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))

    def colour_at(self, x, y, width=96, height=64):
        """The colour at a pixel of the picture, which fits the map."""
        seen = self.pixels()
        scale = min((seen.shape[1] - 2 * PADDING) / width, (seen.shape[0] - 2 * PADDING) / height)
        left, top = (seen.shape[1] - width * scale) / 2, (seen.shape[0] - height * scale) / 2
        return tuple(int(value) for value in seen[int(top + (y + 0.5) * scale), int(left + (x + 0.5) * scale)])

    def facts(self, number=0):
        """What the page says of an answer: {"Marked": ..., ...}."""
        item = self.page.locator("#answers > li").nth(number)
        return dict(zip(item.locator("dt").all_inner_texts(), item.locator("dd").all_inner_texts(), strict=True))

    def focused(self):
        return self.page.evaluate("document.activeElement.id")


def near(colour, expected, tolerance=3):
    return all(abs(one - other) <= tolerance for one, other in zip(colour, expected, strict=True))
