"""Files and options as `signerd doctor` looks at them: who may read and change what the keys depend on."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from signerd.cli.doctor_finding import Finding, Verdict
from signerd.config.options import Config
from signerd.config.quantity import format_duration
from signerd.config.seal_options import SealType
from signerd.config.state_directory import StateDirectory

PRIVATE: Final = 0o077  # bits that files with secrets must not have
UNCHANGEABLE: Final = 0o022  # bits that files which decide must not have
_SHORT_MARGIN: Final = 5 * 86400  # seconds; the shortest that is taken where a policy states none
_EVERYBODY: Final = 8  # a network of this prefix length or shorter is nobody's own proxy


def check_files(config: Config, file: Path | None) -> Iterator[Finding]:
    """Look at every file that holds a secret or decides about one.

    Args:
        config: All options.
        file: Where they come from; None for the defaults.
    """
    state = StateDirectory(config.state_directory)
    yield check_mode("state directory", state.path, PRIVATE, is_weak=True)
    owner = state.path.stat().st_uid if state.path.exists() else None
    database = state.database
    for path in (database, *(database.with_name(database.name + end) for end in ("-wal", "-shm"))):
        if path == database or path.exists():
            yield check_mode("database", path, PRIVATE, owner)
    if state.admin_token.exists():
        yield check_mode("administrator's token", state.admin_token, PRIVATE, owner)
    for seal in config.seals:
        if seal.type is SealType.FILE:
            yield check_mode(f"seal {seal.seal_id}", seal.file or state.root_key, PRIVATE, owner)
        for kept in (seal.previous_file, seal.pin_file):
            if kept is not None:
                yield check_mode(f"seal {seal.seal_id}", kept, PRIVATE)
    if config.admin.key is not None:
        yield check_mode("private key of the API's certificate", config.admin.key, PRIVATE)
    if config.admin.metrics_token is not None:
        yield check_mode("token for /metrics", config.admin.metrics_token, PRIVATE)
    if file is not None:
        yield check_mode("configuration", file, UNCHANGEABLE)


def check_options(config: Config) -> Iterator[Finding]:
    """Look at options that are a matter of choice, and say what they risk."""
    kinds = [seal.type for seal in config.seals]
    if len(kinds) == 1:
        yield Finding(Verdict.WEAK, "seals", "only one: if it is lost, so are all keys; list a second one")
    else:
        yield Finding(Verdict.GOOD, "seals", f"{len(kinds)}, of which any opens the keys")
    if SealType.ENVIRONMENT in kinds:
        yield Finding(Verdict.WEAK, "seals", "a key in the environment can be read from /proc by root")
    for network in config.admin.trusted_proxies:
        if network.prefixlen <= _EVERYBODY:
            yield Finding(
                Verdict.BAD,
                "admin.trusted_proxies",
                f"{network} lets too many choose the address they come from",
            )
    if config.api_zones.is_placeholder:
        yield Finding(
            Verdict.WEAK,
            "api_zones.name_servers",
            "not stated: zones made over the API name a server that does not exist, and cannot be delegated",
        )
    for name, policy in config.policies.items():
        margin = policy.refresh_margin
        if not isinstance(margin, str) and margin < _SHORT_MARGIN:
            yield Finding(
                Verdict.WEAK,
                f"policies.{name}.refresh_margin",
                f"{format_duration(margin)}: while the KMS is sealed nothing is signed, and signatures in "
                f"service hold for no longer than this; {format_duration(_SHORT_MARGIN)} or more is better",
            )
    if config.kms.import_sha1:
        yield Finding(Verdict.WEAK, "kms.import_sha1", "imports wrapped with SHA-1 are taken")
    if not config.webhooks:
        yield Finding(
            Verdict.WEAK, "webhooks", "none: nobody is told of an alarm who does not look or scrape"
        )
    for webhook in config.webhooks:
        if webhook.allow_http and webhook.url.startswith("http:"):
            yield Finding(
                Verdict.WEAK, f"webhook {webhook.title}", "not https: others can read and drop events"
            )
    checkpoints = config.checkpoint_file.parent
    if checkpoints.exists() and config.state_directory.exists():
        if checkpoints.stat().st_dev == config.state_directory.stat().st_dev:
            yield Finding(
                Verdict.WEAK,
                "audit.checkpoint_file",
                "on the volume of the database: whoever rolls one back rolls back both",
            )
        else:
            yield Finding(Verdict.GOOD, "audit.checkpoint_file", "on another volume than the database")


def check_mode(
    what: str, path: Path, refused: int, owner: int | None = None, *, is_weak: bool = False
) -> Finding:
    """Look at the permissions of one file or directory.

    Args:
        what: What it is.
        path: Where it is.
        refused: Bits that it must not have.
        owner: Whose it must be; anybody's if None.
        is_weak: Whether a bit that only lets others read is no more than weak.
    """
    try:
        status = path.stat()
    except OSError as error:
        return Finding(Verdict.UNSEEN, what, f"{path}: {error.strerror}")
    mode = stat.S_IMODE(status.st_mode)
    if owner is not None and status.st_uid != owner:
        return Finding(
            Verdict.BAD, what, f"{path} belongs to user {status.st_uid}, the state directory to {owner}"
        )
    if mode & refused:
        wanted = mode & ~refused
        verdict = Verdict.WEAK if is_weak and not mode & UNCHANGEABLE else Verdict.BAD
        return Finding(verdict, what, f"{path} has mode {mode:04o}; chmod {wanted:04o} {path}")
    return Finding(Verdict.GOOD, what, f"{path} has mode {mode:04o}")
