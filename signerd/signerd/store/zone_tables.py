"""Tables of the zones: signing keys, what happened to each version, and how far the clock has come."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from signerd_kms.schema import NAMING

metadata = MetaData(naming_convention=NAMING)

zone_signing_keys = Table(
    "zone_signing_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("zone", Text, nullable=False),  # presentation form, lower case, with the final dot
    Column("role", Text, nullable=False),
    Column("flags", Integer, nullable=False),
    Column("algorithm", Integer, nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # public key field of the DNSKEY
    Column("key_tag", Integer, nullable=False),
    Column("kms_key_identity", Text),  # of a KSK or CSK: where its private part is
    Column("kms_key_version", Integer),
    Column("kms_organisation", Text),  # where the KMS key lives; NULL: with the keys of the deployment
    Column("kms_region", Text),
    Column("kms_project", Text),
    Column("wrapped", LargeBinary),  # of a ZSK: its private part, wrapped by the KMS
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),  # seconds since 1970, UTC
    Column("timetable_name", Text),  # NULL until a timetable has taken the key over
    CheckConstraint("role IN ('ksk', 'zsk', 'csk')", name="role_known"),
)
Index("ix_zone_signing_keys_zone_state", zone_signing_keys.c.zone, zone_signing_keys.c.state)

# The key timetable of each zone, stored before anything of it is carried out.
zone_timetables = Table(
    "zone_timetables",
    metadata,
    Column("zone", Text, primary_key=True),  # presentation form, lower case, with the final dot
    Column("state", Text, nullable=False),  # as timetable/state_record.py writes it
    Column("parent", Text, nullable=False),  # JSON object: answers, problem
    Column("probed_at", BigInteger),  # when the parent was asked last; seconds since 1970, UTC
    Column("updated_at", BigInteger, nullable=False),
    Column("identity", Text),  # of the zone, if it is one of the API: another of its name is another zone
)

zone_events = Table(
    "zone_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("zone", Text, nullable=False),
    Column("at", BigInteger, nullable=False),  # seconds since 1970, UTC
    Column("stage", Text, nullable=False),
    Column("serial", BigInteger),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,  # a number is never used again, so readers can go on from the last they saw
)
Index("ix_zone_events_zone_id", zone_events.c.zone, zone_events.c.id)

clock_marks = Table(
    "clock_marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),  # seconds since 1970, UTC
)

# DNSSEC of the zones of the API: what was decided, and what the parent said.
dns_dnssec = Table(
    "dns_dnssec",
    metadata,
    Column("zone", Text, primary_key=True),  # presentation form, lower case, with the final dot
    Column("zone_identity", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("project", Text),
    Column("state", Text, nullable=False),
    Column("region_text", Text, nullable=False),  # as the caller wrote it
    Column("region", Text, nullable=False),
    Column("kms_key", Text, nullable=False),
    Column("requested_by", Text),
    Column("enabled_at", BigInteger, nullable=False),
    Column("last_signed_at", BigInteger),
    Column("sign_error", Text),
    Column("sign_error_since", BigInteger),
    Column("signatures_until", BigInteger),
    Column("next_probe_at", BigInteger),  # NULL: the parent is not asked
    Column("ds_not_before", BigInteger),  # NULL: no version was signed with the key chosen last yet
    Column("settles_at", BigInteger),  # when an old key or the signatures leave the zone; NULL: unknown
    Column("is_key_named", Integer, nullable=False, server_default=text("1")),  # or else: the zone's own
    Column("is_delegated", Integer, nullable=False),
    Column("parent", Text, nullable=False),  # JSON object: answers, problem
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("state IN ('signed', 'awaiting', 'unsigning', 'off')", name="state_known"),
)
Index("ix_dns_dnssec_next_probe_at", dns_dnssec.c.next_probe_at)

# Name servers of parents that somebody declared dead: their silence holds nothing up.
ignored_parent_servers = Table(
    "ignored_parent_servers",
    metadata,
    Column("zone", Text, primary_key=True),  # presentation form, lower case, with the final dot
    Column("server", Text, primary_key=True),  # `<address>#<port>`
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("actor", Text),
)

# Signatures of DNSKEY, CDS and CDNSKEY RRsets that were made ahead.
zone_key_signatures = Table(
    "zone_key_signatures",
    metadata,
    Column("zone", Text, primary_key=True),  # presentation form, lower case, with the final dot
    Column("subject", LargeBinary, primary_key=True),  # SHA-256 over the key and the RRset
    Column("expiration", BigInteger, primary_key=True, autoincrement=False),  # seconds since 1970, UTC
    Column("inception", BigInteger, nullable=False),
    Column("rrsig", LargeBinary, nullable=False),  # RDATA
)

# What the parents of zones were told of changed CDS and CDNSKEY records (RFC 9859); times in epoch seconds.
parent_notices = Table(
    "parent_notices",
    metadata,
    Column("zone", Text, primary_key=True),  # presentation form, lower case, with the final dot
    Column("digest", LargeBinary, nullable=False),  # of the records
    Column("changed_at", BigInteger, nullable=False),
    Column("next_at", BigInteger),  # NULL: that is over
    Column("attempts", Integer, nullable=False),
    Column("tried_at", BigInteger),
    Column("result", Text),
    Column("detail", Text),
    Column("endpoint", Text),
    Column("is_validated", Integer),
)
