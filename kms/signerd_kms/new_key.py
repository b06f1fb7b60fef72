"""What a caller chooses for a new key, and the key that it becomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from signerd_kms import request
from signerd_kms.errors import RotationNotAllowed
from signerd_kms.identity import new_identity
from signerd_kms.key import NO_TEXTS, OPERATIONS, Key, KeyIdentity, KeyStatus, KeyType, KeyVersion, Scope
from signerd_kms.name_form import unify_name


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a caller chooses for a new key.

    Attributes:
        name: 1 to 255 printable characters, in normal form C; unique among the keys of the scope that are
            not pending deletion, and so is the slug made from it.
        key_type: What it can do, for ever.
        description: Up to 1024 characters.
        labels: Echoed, not interpreted.
        annotations: Echoed, not interpreted.
        export_allowed: Whether the material may ever be exported; bound to the material.
        rotation_enabled: Whether it gets a new version by itself after each period.
        rotation_period_in_days: 1 to 3650; must be given to enable rotation, and is kept in any case.
    """

    name: str
    key_type: KeyType
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)
    annotations: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)
    export_allowed: bool = False
    rotation_enabled: bool = False
    rotation_period_in_days: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", unify_name(self.name))

    def check(self) -> None:
        """Check every rule of form.

        Raises:
            InvalidRequest: One is broken; the message says which.
        """
        request.check_name(self.name)
        request.check_description(self.description)
        request.check_rotation(self.rotation_period_in_days, is_enabled=self.rotation_enabled)

    def build(
        self,
        scope: Scope,
        public_key: bytes | None,
        now: int,
        *,
        imported: bool = False,
        rotation_allowed: bool = True,
    ) -> Key:
        """Make the key, with its first version.

        Raises:
            RotationNotAllowed: Rotation is enabled but not allowed.
        """
        if self.rotation_enabled and not rotation_allowed:
            raise RotationNotAllowed("an imported key is rotated only if it is imported with leave for it")
        identity = KeyIdentity(new_identity("kms"))
        return Key(
            identity=identity,
            scope=scope,
            name=self.name,
            slug=request.make_key_slug(self.name, identity),
            description=self.description,
            labels=dict(self.labels),
            annotations=dict(self.annotations),
            key_type=self.key_type,
            status=KeyStatus.ACTIVE,
            operations=OPERATIONS[self.key_type],
            export_allowed=self.export_allowed,
            imported=imported,
            rotation_allowed=rotation_allowed,
            rotation_enabled=self.rotation_enabled,
            rotation_period_in_days=self.rotation_period_in_days,
            latest_version=1,
            min_decryption_version=1,
            versions=(KeyVersion(1, "active", now, public_key),),
            created_at=now,
            updated_at=now,
            object_version=1,
            deletion_scheduled_at=None,
        )
