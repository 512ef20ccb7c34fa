"""Globus, asked: who asks, which collection is meant, and what its refusals mean.

The credential comes from the environment: ``GLOBUS_TRANSFER_TOKEN``, an access token, or else ``GLOBUS_CLIENT_ID`` and
``GLOBUS_CLIENT_SECRET`` of a registered application, which then owns the tasks. It is in no message, `repr` or log.
The addresses of the service come from globus-sdk, which knows ``GLOBUS_SDK_SERVICE_URL_TRANSFER`` for another one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kgp.errors import EnvironmentProblem, InputError, KgpError
from kgp.io.transfers.common import list_some

TOKEN = "GLOBUS_TRANSFER_TOKEN"
CLIENT_ID = "GLOBUS_CLIENT_ID"
CLIENT_SECRET = "GLOBUS_CLIENT_SECRET"
TRANSFER_SCOPE = "urn:globus:auth:scope:transfer.api.globus.org:all"

_MOST_FOUND = 200
_LEGACY = ("canonical_name",)
_SHOWN = ("display_name", "name")


def has_globus_credentials() -> bool:
    """Whether the environment holds a token, or an application's id and secret."""
    return bool(os.environ.get(TOKEN)) or is_application()


def is_application() -> bool:
    """Whether an application asks, which can get itself a token with more scopes."""
    return not os.environ.get(TOKEN) and bool(os.environ.get(CLIENT_ID) and os.environ.get(CLIENT_SECRET))


def connect(scopes: Sequence[str] = ()) -> Any:
    """A `globus_sdk.TransferClient` that asks with the credential of the environment.

    Args:
        scopes: further ones that an application asks for.

    Raises:
        EnvironmentProblem: there is no credential, it is malformed or refused, or globus-sdk is not installed.
    """
    sdk = _sdk()
    if is_application():
        application = sdk.ConfidentialAppAuthClient(_secret(CLIENT_ID), _secret(CLIENT_SECRET))
        wanted = " ".join(dict.fromkeys([TRANSFER_SCOPE, *scopes]))
        with explained("Globus Auth"):
            return sdk.TransferClient(authorizer=sdk.ClientCredentialsAuthorizer(application, wanted))
    if not os.environ.get(TOKEN):
        raise EnvironmentProblem(
            "There is no credential for Globus.", mend=f"Set {TOKEN}, or {CLIENT_ID} and {CLIENT_SECRET}."
        )
    return sdk.TransferClient(authorizer=sdk.AccessTokenAuthorizer(_secret(TOKEN)))


def _secret(name: str) -> str:
    """A credential; one that can't stand in a header is refused here, for other libraries would quote it."""
    value = os.environ[name].strip()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise EnvironmentProblem(
            f"${name} is malformed: it has blanks or other characters in it that none has."
        )
    return value


def required_scopes(problem: Exception) -> list[str]:
    """Scopes that the service wants a consent for; empty where the problem is another one."""
    info = getattr(problem, "info", None)
    return list(info.consent_required.required_scopes) if info and info.consent_required else []


def find_collection(client: Any, name: str) -> str:
    """Id of the collection of a name; its legacy name (``owner#name``) goes before what it is shown as.

    Args:
        client: a `globus_sdk.TransferClient`.
        name: compared exactly.

    Raises:
        InputError: none has it, or several have; the message lists what was found.
        EnvironmentProblem: the service does not let us.
    """
    found = _search(client, name)
    for fields in (_LEGACY, _SHOWN):
        same = [one for one in found if name in (one.get(field) for field in fields)]
        if len(same) == 1:
            return str(same[0]["id"])
        if same:
            raise _unclear(f"{len(same)} collections have this name", name, same)
    near = found or _search(client, name.rpartition("#")[2])
    raise _unclear("No collection has this name", name, near)


def _search(client: Any, text: str) -> list[Mapping[str, Any]]:
    with explained(f"search for {text}"):
        found = itertools.islice(client.paginated.endpoint_search(filter_fulltext=text).items(), _MOST_FOUND)
        # An endpoint is a server; the files are in its collections.
        return [one for one in found if one.get("entity_type") != "GCSv5_endpoint"]


def _unclear(what: str, name: str, candidates: Iterable[Mapping[str, Any]]) -> InputError:
    listed = list_some(
        [f"{one.get('display_name') or one.get('canonical_name')} {one['id']}" for one in candidates]
    )
    return InputError(
        f"{what}{f'; found: {listed}' if listed else ', nor one like it'}.",
        where=name,
        mend="Name the collection by its id: --door NAME=globus://ID/PATH.",
    )


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what globus-sdk raises into one clear message.

    The cause is left out of the chain: it holds the request, and so the token.
    """
    sdk = _sdk()
    try:
        yield
    except sdk.GlobusAPIError as problem:
        raise _explain(problem, where) from None
    except sdk.NetworkError as problem:
        raise EnvironmentProblem(
            f"Globus does not answer ({type(problem).__name__}).",
            where=where,
            mend="Check the network, try again.",
        ) from None


def _explain(problem: Any, where: str) -> KgpError:
    said = redact(f"{problem.message or problem.http_reason or 'no reason is given'}".rstrip(". "))
    session = problem.info.authorization_parameters
    if scopes := required_scopes(problem):
        return EnvironmentProblem(
            f"Globus wants a consent that the credential lacks: {list_some(scopes)}.",
            where=where,
            mend=f"Get a token with these scopes for {TOKEN}.",
        )
    if session:
        wanted = [
            *(session.session_required_identities or []),
            *(session.session_required_single_domain or []),
        ]
        return EnvironmentProblem(
            f"Globus wants you to log in again{' as ' + ' or '.join(wanted) if wanted else ''}: "
            f"{redact(session.session_message or said).rstrip('. ')}.",
            where=where,
            mend=f"Log in with that identity and get a new token for {TOKEN}.",
        )
    if problem.http_status == 401 or problem.code == "invalid_client":
        return EnvironmentProblem(
            f"Globus does not take the credential: {said}.",
            where=where,
            mend=f"A token lives for two days: get a new one for {TOKEN}, or check {CLIENT_ID} and {CLIENT_SECRET}.",
        )
    if problem.http_status == 403:
        return EnvironmentProblem(
            f"Globus does not allow it: {said}.",
            where=where,
            mend="Check what the credential's owner may do there.",
        )
    if problem.http_status == 429 or problem.http_status >= 500:
        return EnvironmentProblem(f"Globus can't do it now: {said}.", where=where, mend="Try again later.")
    return InputError(f"Globus refuses it ({problem.code}): {said}.", where=where)


def redact(text: str) -> str:
    """A text of the service in one line, without the credentials of the environment should it quote one."""
    for name in (TOKEN, CLIENT_SECRET):
        if value := os.environ.get(name, "").strip():
            text = text.replace(value, "…")
    return " ".join(text.split())[:500]


def _sdk() -> Any:
    try:
        import globus_sdk
    except ImportError:
        raise EnvironmentProblem(
            "The package globus-sdk is not installed.", mend="Install it: pip install 'kgp[globus]'"
        ) from None
    return globus_sdk
