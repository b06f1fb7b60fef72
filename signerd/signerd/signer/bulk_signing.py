"""Makes the signatures of a plan with all cores."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.key import SigningKey
from signerd.dnssec.rrsig import make_signer
from signerd.dnssec.signature_plan import SignatureJob, SigningPlan, sign_jobs, split_jobs

CHUNK_JOBS = 512  # some ten milliseconds of work: short enough to stop soon, long enough to cost nothing
Progress = Callable[[int, int], None]


def carry_out(
    plan: SigningPlan,
    keys: Sequence[SigningKey],
    *,
    workers: int,
    progress: Progress | None = None,
    sign_key_set: Callable[[Sequence[SignatureJob]], list[RRset]] | None = None,
) -> Zone:
    """Sign all that a plan asks for.

    Threads are enough: the crypto library releases the interpreter lock while it signs, and so the private
    keys stay in this process.

    Args:
        plan: Used up by this.
        keys: All keys that the plan names.
        workers: Threads.
        progress: Called in this thread with RRsets signed and to sign; what it raises ends the signing.
        sign_key_set: Gives what the KSKs sign, with its signatures; they are made now if None.
    """
    signers = {key.dnskey: make_signer(key, plan.origin, plan.inception) for key in keys}
    total = len(plan.key_set_jobs) + len(plan.jobs)
    # few, and a KMS may be slow or refuse: better before the long work than after it
    if sign_key_set is None:
        signed = sign_jobs(plan.key_set_jobs, signers)
    else:
        signed = sign_key_set(plan.key_set_jobs)
    if len(plan.jobs) <= CHUNK_JOBS or workers == 1:
        for chunk in split_jobs(plan.jobs, CHUNK_JOBS):
            signed += sign_jobs(chunk, signers)
            if progress is not None:
                progress(len(signed), total)
        return plan.complete(signed)
    pending: set[Future[list[RRset]]] = set()
    with ThreadPoolExecutor(workers, thread_name_prefix="sign") as pool:
        try:
            for chunk in split_jobs(plan.jobs, CHUNK_JOBS):
                pending.add(pool.submit(sign_jobs, chunk, signers))
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    signed += future.result()
                if progress is not None:
                    progress(len(signed), total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return plan.complete(signed)
