"""What can go wrong with a backup; the message says what to do."""


class BackupError(Exception):
    """The backup was not made, or is not to be trusted; nothing was changed."""
