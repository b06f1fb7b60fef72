"""One zone with its key timetable, pipeline and parent, in a time that passes when told to."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline_world import ORIGIN, PipelineWorld
from signerd.config.state_directory import StateDirectory
from signerd.delegation.parent_view import ServerAnswer
from signerd.dns import rdatatype as rt
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key import DnsKey
from signerd.rollover.desk import RolloverDesk
from signerd.rollover.timetable_record import read_record
from signerd.rollover.zone_timetable import StepReport, ZoneTimetable
from signerd.signer.timetable_keys import StoredKey
from signerd.timetable.state import Rollover
from signerd.timetable.timetable import Outcome
from signerd.validator.zone_validation import validate
from signerd.zone_dnssec.management import DnssecManagement, DnssecStatus, Wish
from signerd.zone_dnssec.settings import DnssecSetting, ZonePlace
from signerd.zones.master_file import load_master_file
from signerd_kms.attribution import Attribution
from signerd_kms.key import Key, KeyIdentity, KeyType

ZONE_TEXT = """$ORIGIN small.test.
$TTL 600
@ SOA ns1 hostmaster 1 3600 900 86400 300
@ NS ns1
ns1 A 192.0.2.1
www A 192.0.2.2
txt TXT "something"
"""
DS_TTL = 3600
BY = Attribution("someone")
_MOST_MOMENTS = 3000


class NothingCame(AssertionError):
    """What was waited for did not happen."""


class RolloverWorld:
    """What the daemon does for a zone, one thing after the other.

    Every version that is published is also validated here, against the DS records that the parent has.
    """

    def __init__(self, folder: Path, *, policy: str = "", is_of_api: bool = False) -> None:
        self.pipelines = PipelineWorld(folder, policy=policy, is_of_api=is_of_api)
        self.pipelines.file.write_text(ZONE_TEXT)
        self._is_of_api = is_of_api
        self.servers: dict[str, frozenset[bytes] | None] = {"a": frozenset(), "b": frozenset()}
        self.sentences: list[str] = []
        self.is_parent_known = True
        self.is_checked = True  # not where the parent has what no zone could match

    @property
    def timetable(self) -> ZoneTimetable:
        """The timetable of the zone, as this run of the process has it."""
        return self.pipelines.workshop.rollovers.open(self.pipelines.pipeline.entry)

    @property
    def outcome(self) -> Outcome:
        """What the last step gave."""
        assert self.timetable.plan is not None
        return self.timetable.plan.outcome

    @property
    def now(self) -> int:
        """The time."""
        return self.pipelines.clock.now()

    def publish(self) -> bool:
        """Bring the zone up to date, as its keeper does."""
        if not self._is_of_api:
            return self.pipelines.pipeline.advance(read_file=True)
        loaded = load_master_file(self.pipelines.file, ORIGIN, directory=self.pipelines.file.parent)
        assert loaded.zone is not None
        return self.pipelines.pipeline.advance(read_file=False, edit=loaded.zone.names)

    @property
    def place(self) -> ZonePlace:
        """The zone, if it is one of the API, as those know it who decide about its DNSSEC."""
        return ZonePlace(self.pipelines.identity, "small.test", self.pipelines.scope.organisation, None)

    @property
    def management(self) -> DnssecManagement:
        """What the owner of a zone of the API turns to."""
        return self.pipelines.dnssec.open()

    @property
    def setting(self) -> DnssecSetting:
        """What was decided about a zone of the API."""
        setting = self.management.find_setting("small.test")
        assert setting is not None
        return setting

    def enable(self, key: Key | None = None) -> DnssecStatus:
        """Turn DNSSEC of a zone of the API on, or choose another key."""
        identity = None if key is None else key.identity
        wish = Wish("local", self.pipelines.scope.region, identity, lambda _: None, lambda: None)
        return self.management.enable(self.place, wish, BY)

    def disable(self) -> None:
        """Turn DNSSEC of a zone of the API off."""
        self.management.disable(self.place, BY)

    def make_key(self, name: str, key_type: KeyType = KeyType.ECDSA_P256) -> Key:
        """Make a key of the KMS for a zone of the API."""
        return self.pipelines.custody.kms.create_key(self.pipelines.scope, name, key_type, by=BY)

    def ask_parent(self) -> bool:
        """Let it be heard what the parent says now."""
        answers = [ServerAnswer(name, self.now, ds, DS_TTL if ds else 0) for name, ds in self.servers.items()]
        heard = (answers, None) if self.is_parent_known else ((), "no name servers")
        if not self._is_of_api:
            return self.timetable.take_in(*heard)
        self.management.take_in(self.place, *heard)
        return True

    def step(self) -> StepReport | None:
        """Take one step."""
        report = self.timetable.step(self.pipelines.pipeline.state.published)
        if report is not None and report.plan.outcome.sentence not in self.sentences[-1:]:
            self.sentences.append(report.plan.outcome.sentence)
        return report

    def work(self) -> int:
        """Do all that can be done now; give the next moment when there is something to do."""
        while True:
            is_published = self.publish()
            if self.is_checked:
                self.check()
            self.ask_parent()
            report = self.step()
            if not is_published and (report is None or not report.is_rearranged):
                break
        due = self.pipelines.pipeline.state.next_due
        moments = [self.now + 86400] if report is None else [report.look_again_at]
        return max(self.now + 1, min([*moments, *([due] if due is not None else [])]))

    def check(self) -> None:
        """Check that what is served is valid by each DS set of the parent."""
        published = self.pipelines.pipeline.state.published
        assert published is not None
        for ds in self.servers.values():
            if ds:
                keys = self.pipelines.workshop.get_keys(
                    self.pipelines.pipeline.entry, self.pipelines.config.policies["default"], published
                )
                report = validate(published, ds=sorted(ds), unpublished=keys.unpublished, now=self.now)
                assert report.is_accepted, [str(finding) for finding in report.findings]

    def run_until(self, condition: Callable[[], bool | None], most: int = _MOST_MOMENTS) -> None:
        """Let time pass until something is so, for so many moments at most."""
        for _ in range(most):
            following = self.work()
            if condition():
                return
            self.pipelines.clock.pass_time(following - self.now)
        raise NothingCame("\n".join(self.sentences))

    def rest(self) -> None:
        """Let time pass until nothing of the keys is under way but what the parent has to do."""
        self.run_until(
            lambda: (
                not self.outcome.state.rollovers
                and all(key.dnskey.is_everywhere for key in self.outcome.state.keys)
            )
        )

    def restart(self) -> None:
        """Begin again with what is on the disk."""
        self.pipelines.restart()

    def open_desk(self) -> RolloverDesk:
        """Give what takes the operator's commands."""
        workshop = self.pipelines.workshop
        workshop.find_published = lambda name: self.pipelines.pipeline.state.published
        return workshop.rollovers

    @property
    def kms_key_names(self) -> list[str]:
        """Names of the KMS keys that the zone has."""
        kms, scope = self.pipelines.custody.kms, self.pipelines.scope
        keys = self.pipelines.workshop.open_timetable_keys().list_keys(ORIGIN)
        return [kms.get_key(scope, KeyIdentity(key.kms_key)).name for key in keys if key.kms_key is not None]

    def change_policy(self, policy: str) -> None:
        """Restart with other options of the policy."""
        self.pipelines.change_policy(policy)

    def list_rollovers(self) -> Sequence[Rollover]:
        """List the rollovers that are under way, as they are stored."""
        record = read_record(self.pipelines.custody.engine, ORIGIN)
        assert record is not None
        return record.state.rollovers

    def copy_database(self) -> bytes:
        """Take a copy of the database."""
        self.pipelines.close()
        copy = self._database.read_bytes()
        self.restart()
        return copy

    def put_back_database(self, copy: bytes) -> None:
        """Restart with a copy of the database, and without the checkpoints that would give it away."""
        self.pipelines.close()
        self.pipelines.config.checkpoint_file.unlink(missing_ok=True)
        self._database.write_bytes(copy)
        self.restart()

    @property
    def _database(self) -> Path:
        return StateDirectory(self.pipelines.config.state_directory).database

    def give_ds(self, *names: str) -> None:
        """Have the parent carry out what is asked for: DS records of these keys, and no others."""
        wanted = frozenset(
            ds for key in self.list_stored() if key[0] in names for ds in make_ds_set(ORIGIN, key[1])
        )
        self.servers = dict.fromkeys(self.servers, wanted)

    def list_keys(self) -> Sequence[StoredKey]:
        """List the keys that the zone has."""
        return self.pipelines.workshop.open_timetable_keys().list_keys(ORIGIN)

    def list_stored(self) -> Sequence[tuple[str, DnsKey]]:
        """List name and DNSKEY of the keys that the zone has."""
        return [(key.name or "", key.dnskey) for key in self.list_keys()]

    @property
    def names(self) -> list[str]:
        """Names of the keys that the zone has."""
        return [name for name, _ in self.list_stored()]

    def list_served(self, rdatatype: int = rt.DNSKEY) -> set[str]:
        """Name the keys whose DNSKEY or CDNSKEY records are served."""
        published = self.pipelines.pipeline.state.published
        assert published is not None
        rrset = published.names[ORIGIN].get(rdatatype)
        known = {key.rdata: name for name, key in self.list_stored()}
        return {known[rdata] for rdata in rrset.rdatas} if rrset else set()

    def count_signers(self) -> int:
        """Count the keys that have signatures over data."""
        published = self.pipelines.pipeline.state.published
        assert published is not None
        return len(
            {
                signature[16:18]
                for rrset in published.iterate_rrsets()
                for signature in rrset.signatures
                if rrset.type not in (rt.DNSKEY, rt.CDS, rt.CDNSKEY)
            }
        )

    def close(self) -> None:
        """End all."""
        self.pipelines.close()
