"""The error codes of this face and their messages."""

from api.http.problems import Problem

OK = 0
PENDING = 100001
MISSING_PARAMETER = 400002
BAD_VALUE = 400006
STALE_SIGNATURE = 403002
UNAUTHORIZED = 403005
NO_RIGHT = 403007
RATE_LIMITED = 403048
TIMED_OUT = 408001
TOO_LARGE = 413001
UNKNOWN_ENCODING = 415001
HEAD_TOO_LARGE = 431001
SERVER_ERROR = 500001

_MESSAGES = {
    PENDING: "Pending",
    MISSING_PARAMETER: "Missing required parameter",
    BAD_VALUE: "Invalid parameter value",
    STALE_SIGNATURE: "Request has expired",
    UNAUTHORIZED: "Unauthorized user",
    NO_RIGHT: "Permission denied",
    RATE_LIMITED: "Rate limit exceeded",
    TIMED_OUT: "Request timed out",
    TOO_LARGE: "Request is too large",
    UNKNOWN_ENCODING: "Unknown content encoding",
    HEAD_TOO_LARGE: "Request head is too large",
    SERVER_ERROR: "General server error",
}

_ACCEPTED = 202
OF_THE_SERVER = {
    code // 1000: code for code in (TIMED_OUT, TOO_LARGE, UNKNOWN_ENCODING, HEAD_TOO_LARGE)
}
"""Error codes of refusals that all faces have in common, by the HTTP status, which is used in any
case."""


class CallError(Exception):
    """A call fails; raised anywhere below a route, answered in the face's envelope.

    Attributes:
        code: the error code.
        message: a short text that belongs to the code; it names a missing parameter.
        details: what is wrong, in words for the caller; never a parameter's value, for that may be
            a secret.
        fields: more to say beside the error.
        http_status: the HTTP status whether statuses are asked for or not; None: as it is asked.
    """

    def __init__(
        self,
        code: int,
        details: str,
        *,
        about: str = "",
        fields: dict[str, object] | None = None,
        http_status: int | None = None,
    ) -> None:
        super().__init__(details)
        self.code = code
        self.message = f"{_MESSAGES[code]}: {about}" if about else _MESSAGES[code]
        self.details = details
        self.fields = fields or {}
        self.http_status = http_status


def status_of(code: int) -> int:
    """Return the HTTP status that an error code stands for."""
    if code == OK:
        return 200
    return _ACCEPTED if code == PENDING else code // 1000


def missing(name: str) -> CallError:
    """Return the error of a parameter that is required and not there."""
    return CallError(MISSING_PARAMETER, f"{name} is required", about=name)


def bad(name: str, message: str) -> CallError:
    """Return the error of a parameter whose value cannot be taken."""
    return CallError(BAD_VALUE, f"{name}: {message}", about=name)


def unauthorized(details: str) -> CallError:
    """Return the error of credentials that are not good, and of a user that is not there."""
    return CallError(UNAUTHORIZED, details)


def from_problem(problem: Problem) -> CallError:
    """Return a problem as an error of this face."""
    if problem.status == 429:
        return CallError(RATE_LIMITED, problem.detail)
    if problem.status >= 500:
        return CallError(SERVER_ERROR, problem.detail)
    if problem.status in OF_THE_SERVER:
        code = OF_THE_SERVER[problem.status]
        return CallError(code, problem.detail, http_status=problem.status)
    return CallError(BAD_VALUE, problem.detail)
