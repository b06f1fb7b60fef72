"""From the options of seals to seals."""

from collections.abc import MutableMapping, Sequence

from signerd.config.options import Config
from signerd.config.seal_options import SealOptions, SealType
from signerd.config.state_directory import StateDirectory
from signerd_kms.seal import Seal
from signerd_kms.seals.credential import CredentialSeal
from signerd_kms.seals.environment import EnvironmentSeal
from signerd_kms.seals.key_file import FileSeal
from signerd_kms.seals.passphrase import PassphraseSeal
from signerd_kms.seals.token import TokenPlace, TokenSeal

DEFAULT_CREDENTIAL = "signerd-root"
DEFAULT_VARIABLE = "SIGNERD_ROOT_KEY"
DEFAULT_TOKEN_KEY = "signerd-root"  # noqa: S105  # a label


def make_seals(config: Config, environment: MutableMapping[str, str]) -> Sequence[Seal]:
    """Make the seals in the order of the configuration.

    Args:
        config: With at least one seal.
        environment: Of this process; variables that hold keys are removed from it.

    Raises:
        RootKeyRefused: A variable holds no key.
    """
    return [_make_seal(options, config, environment) for options in config.seals]


def _make_seal(options: SealOptions, config: Config, environment: MutableMapping[str, str]) -> Seal:
    seal_id = options.seal_id
    match options.type:
        case SealType.FILE:
            path = options.file or StateDirectory(config.state_directory).root_key
            return FileSeal(path, seal_id=seal_id, previous=options.previous_file)
        case SealType.CREDENTIAL:
            return CredentialSeal(options.name or DEFAULT_CREDENTIAL, environment, seal_id=seal_id)
        case SealType.ENVIRONMENT:
            return EnvironmentSeal(options.variable or DEFAULT_VARIABLE, environment, seal_id=seal_id)
        case SealType.PASSPHRASE:
            return PassphraseSeal(seal_id=seal_id)
        case SealType.PKCS11:
            assert options.module is not None  # noqa: S101  # the options were checked
            assert options.token is not None  # noqa: S101
            place = TokenPlace(
                options.module,
                options.token,
                options.key or DEFAULT_TOKEN_KEY,
                options.pin_file,
                options.make_key,
            )
            return TokenSeal(place, seal_id=seal_id)
