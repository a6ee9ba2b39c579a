"""Who may judge in a review, and who leads it. Names are trusted; there are no passwords."""

from __future__ import annotations

from dataclasses import dataclass

from earthreason.errors import EarthReasonError

from .web import clean_name


class NotAllowedError(EarthReasonError, PermissionError):
    """A name that may not do what it asked for."""


@dataclass(frozen=True)
class Roles:
    """The people of a review.

    Attributes:
        reviewers: the only names that may judge; empty if everybody may.
        leads: names that may see all verdicts, withdraw them and settle disputes.
    """

    reviewers: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()

    @classmethod
    def of(cls, reviewers: list[str] | None, leads: list[str] | None) -> Roles:
        """Check and normalise names.

        Raises:
            EarthReasonError: one of them is not a name.
        """
        return cls(tuple(map(clean_name, reviewers or ())), tuple(map(clean_name, leads or ())))

    def reviewer(self, name: str) -> str:
        """Return the name of a person who may judge.

        Raises:
            NotAllowedError: they may not.
        """
        name = clean_name(name)
        if self.reviewers and name not in (*self.reviewers, *self.leads):
            raise NotAllowedError(f"{name} may not judge in this review; reviewers: {', '.join(self.reviewers)}")
        return name

    def lead(self, name: str) -> str:
        """Return the name of a person who leads the review.

        Raises:
            NotAllowedError: they do not.
        """
        name = clean_name(name)
        if name not in self.leads:
            known = ", ".join(self.leads) or "nobody; start it with --lead NAME"
            raise NotAllowedError(f"{name} does not lead this review; leads: {known}")
        return name
