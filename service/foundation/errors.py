"""One family of errors, raised beside the rule that refuses, told to people in plain words.

    SafeguardError
      NotSignedIn      nobody is signed in, or the session is over
      NotAllowed       this person may not do this
        SignFirst      nor anything else, before they have signed the agreement
      NotFound         it does not exist, or is not for this person to know
      Conflict         it no longer fits what is there
      Invalid          what was given cannot be used
      Stale            it was changed since it was read
      NotSeen          a change that does not say what it read
      TooMany          too many requests for now
      Unavailable      a proof or a part is missing; nothing was done

They carry a kind, not an HTTP status: `web` holds the one table from kind to status and page.
The close codes of a lesson's socket are in `lessons.live.protocol`.
"""


class SafeguardError(Exception):
    """Something went wrong. Nothing has been saved. Try again."""

    code = "error"
    retry_after = 0
    """Seconds after which it is worth asking again; 0 where that would help nobody."""

    def __init__(self, message: str | None = None, *, code: str | None = None, fields: dict[str, str] | None = None):
        """`message`: plain words with what to do next; the class docstring when left out. `fields`: words per form field."""
        super().__init__(message or type(self).__doc__ or "")
        self.code = code or self.code
        self.fields = fields or {}

    @property
    def message(self) -> str:
        return str(self)


class NotSignedIn(SafeguardError):
    """Sign in to go on."""

    code = "not-signed-in"


class NotAllowed(SafeguardError):
    """You may not do this. If you should, ask the office."""

    code = "not-allowed"


class SignFirst(NotAllowed):
    """Sign the agreement first. Nothing else opens before."""

    code = "agreement-due"


class NotFound(SafeguardError):
    """Page not found. If you should see this page, ask the office."""

    code = "not-found"


class Conflict(SafeguardError):
    """This has changed since you opened it. Read it again."""

    code = "conflict"


class Invalid(SafeguardError):
    """There is a problem with what you entered."""

    code = "invalid"


class Stale(SafeguardError):
    """This has changed since you read it. Read it again."""

    code = "stale"


class NotSeen(SafeguardError):
    """Say which state you read before you change it."""

    code = "if-match-missing"


class TooMany(SafeguardError):
    """Too many requests. Wait a minute and try again."""

    code = "too-many"
    retry_after = 60


class Unavailable(SafeguardError):
    """This is not available just now. Nothing has been saved. Try again in a minute."""

    code = "unavailable"
