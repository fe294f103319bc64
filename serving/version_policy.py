"""Labels, and which versions a server loads: the rules, without files.

A server refuses a models.config, all of it, that moves a label to a version that is not loaded
yet, and reads it again at its next poll (`ServerCore::UpdateModelVersionLabelMap`). So a version
is loaded before its label moves there, and the one that had the label stays loaded until then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STABLE = "stable"
CANARY = "canary"
LABELS = (STABLE, CANARY)
"""The labels that operations move; any other in models.config is somebody else's."""

FOLLOWED_VERSIONS = 2
"""How many of the newest versions are served while all labels are on the newest.

With one alone, a server that polls the folder would unload the labelled version as soon as a newer
one is loaded, up to a poll of models.config before the label moves; and the one before is what a
rollback goes back to, at once.
"""


@dataclass(frozen=True)
class VersionPolicy:
    """TF Serving's `model_version_policy`.

    Attributes:
        latest: how many of the newest versions are served; None for another policy.
        specific: the versions that are served; None for another policy, which is `all` if
            `latest` is None as well.
    """

    latest: int | None = None
    specific: frozenset[int] | None = None

    @classmethod
    def read(cls, message: Any) -> VersionPolicy:
        """Reads a `ServableVersionPolicy`; none, or 0 of the latest, means the newest version."""
        kind = message.WhichOneof("policy_choice")
        if kind == "all":
            return cls()
        if kind == "specific":
            return cls(specific=frozenset(message.specific.versions))
        return cls(latest=max(message.latest.num_versions, 1))

    def write(self, message: Any) -> None:
        """Writes itself into a `ServableVersionPolicy`, in place of what that held."""
        message.Clear()
        if self.latest is not None:
            message.latest.num_versions = self.latest
        elif self.specific is not None:
            message.specific.versions.extend(sorted(self.specific))
        else:
            message.all.SetInParent()

    def served(self, present: Sequence[int]) -> list[int]:
        """Returns which of the versions on disk, oldest first, a server loads; oldest first."""
        if self.latest is not None:
            return list(present[-self.latest :])
        return [version for version in present if self.specific is None or version in self.specific]


def policy_for(
    labels: Mapping[str, int], served: Collection[int], present: Sequence[int]
) -> VersionPolicy:
    """Returns the policy that serves what is labelled.

    Beside a version that has all labels, the one below it that is served already stays: a label
    can go back there at once.

    Args:
        labels: version by label, `stable` among them.
        served: the versions that are served so far.
        present: the versions on disk, oldest first.
    """
    wanted = set(labels.values())
    if wanted == {labels[STABLE]}:
        wanted |= set(sorted(version for version in served if version < labels[STABLE])[-1:])
    if set(labels.values()) == {present[-1]} and wanted == set(present[-FOLLOWED_VERSIONS:]):
        return VersionPolicy(latest=FOLLOWED_VERSIONS)
    return VersionPolicy(specific=frozenset(wanted))


def policy_before_new_version(
    policy: VersionPolicy, labels: Mapping[str, int], present: Sequence[int]
) -> VersionPolicy:
    """Returns the policy under which a new version pushes no labelled one out of the latest.

    It is another than `policy` where a push was killed before it moved the label: there are then
    more new versions than were to be followed.
    """
    labelled = [version for version in labels.values() if version in present]
    if policy.latest is None or not labelled:
        return policy
    above = sum(version >= min(labelled) for version in present)
    return VersionPolicy(latest=max(policy.latest, above + 1))


def labels_after_push(labels: Mapping[str, int], version: int, push_to: str) -> dict[str, int]:
    """Returns the labels after a push; the first version is `stable` wherever pushes go."""
    return {**labels, (push_to if STABLE in labels else STABLE): version}


def labels_after_rollback(labels: Mapping[str, int], version: int) -> dict[str, int]:
    """Returns the labels after a rollback: `canary` goes along if it was on the same version.

    Else the version that is rolled back from would still be served, and to all who ask for none.
    """
    left = labels[STABLE]
    return {
        label: version if label in LABELS and labelled == left else labelled
        for label, labelled in labels.items()
    }


def needs_loading(
    before: Mapping[str, int], after: Mapping[str, int], served: Collection[int]
) -> set[int]:
    """Returns the versions that a label moves to and that are not loaded so far.

    A label that is new may be put on any version (`--allow_version_labels_for_unavailable_models`).
    """
    return {
        version
        for label, version in after.items()
        if label in before and before[label] != version and version not in served
    }
