"""Questions to a storage account that is written to: asked again where that may help, explained where it does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from fsspec.asyn import sync

from kgp.errors import InputError, UsageError
from kgp.io.azure import Account
from kgp.io.doors.patience import Patience

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError

T = TypeVar("T")


class BlobService:
    """The blob service of one account. May be shared by threads.

    Args:
        account: with the credential.
        patience: with each question.

    Raises:
        UsageError: there is no credential that the account could be asked with.
    """

    def __init__(self, account: Account, patience: Patience) -> None:
        from kgp.io.azure_files import BlobFileSystem

        self._patience = patience
        try:
            # The SDK's own waits begin at 15 seconds.
            self._files = BlobFileSystem(account, retry_total=0)
        except ValueError as problem:
            kind = type(problem).__name__
            raise UsageError(
                f"There is no credential that the account can be asked with ({kind}).",
                where=account.endpoint,
                mend="Set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN.",
            ) from None

    def ask(self, question: Callable[[Any], Awaitable[T]], where: str) -> T:
        """Ask in the thread of the service's loop, and wait for the answer.

        Args:
            question: is given the SDK's asynchronous `BlobServiceClient`; may be asked several times.
            where: what it is about, as messages name it.

        Raises:
            InputError: there was no answer, or no good one.
        """
        from azure.core.exceptions import AzureError

        n_faults = 0
        while True:
            try:
                return sync(self._files.loop, question, self._files.service_client)  # type: ignore[no-any-return]
            except AzureError as caught:
                problem = caught
            n_faults += 1
            wait = self._patience.wait_after(n_faults, _retry_after(problem)) if _may_pass(problem) else None
            if wait is None:
                # Not from within the handler: the SDK's own text may quote a signature.
                raise _explain(problem, where)
            self._patience.sleep(wait)


def code_of(problem: AzureError) -> str | None:
    """What the service calls the problem; the SDK's types do not know of it."""
    code = getattr(problem, "error_code", None)
    return None if code is None else str(getattr(code, "value", code))


def _may_pass(problem: AzureError) -> bool:
    from azure.core.exceptions import ClientAuthenticationError

    if isinstance(problem, ClientAuthenticationError):
        return False
    status = getattr(problem, "status_code", None)  # without one there was no answer
    # A block that has not the MD5 which was sent with it was spoiled on its way.
    return status is None or status in (408, 429) or status >= 500 or code_of(problem) == "Md5Mismatch"


def _retry_after(problem: AzureError) -> float | None:
    headers = getattr(getattr(problem, "response", None), "headers", {})
    stated = str(headers.get("Retry-After", ""))
    return float(stated) if stated.isdecimal() else None


def _explain(problem: AzureError, where: str) -> InputError:
    from azure.core.exceptions import ClientAuthenticationError

    status, code = getattr(problem, "status_code", None), code_of(problem)
    said = " ".join(str(word) for word in (status, code) if word is not None) or type(problem).__name__
    if status in (401, 403) or isinstance(problem, ClientAuthenticationError):
        what, mend = "It may not be written", "Check the credential and what it allows."
    elif status is None:
        what, mend = "The storage account does not answer", "Check its name and the network."
    else:
        what, mend = _REASONS.get(code or "", ("The storage refuses it", "Run it again later."))
    return InputError(f"{what} ({said}).", where=where, mend=mend)


_REASONS = {
    "ContainerNotFound": ("There is no such container", "Make it, or check its name."),
    "InvalidBlockList": ("Another run put another file there meanwhile", "Run it again."),
    "InvalidBlobOrBlock": ("Another program has left uncommitted blocks there", "Delete the blob."),
}
