"""Failures of the outside world, told apart by whether a repeat could help."""


class ExternalError(Exception):
    """A call that left the process failed.

    `sent` is False only when it is certain that nothing reached the other side, so that
    repeating it cannot do a thing twice. `retry_after` is in seconds, None when unknown.
    """

    def __init__(
        self, message: str, *, code: str, sent: bool = True, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.sent = sent
        self.retryable = retryable
        self.retry_after = retry_after
