"""Backups: a consistent copy made while the server works, read back before anybody relies on it, and the way back.

Rules:

1. A backup is one file. It holds everything but the master key, without which sealed secrets in it cannot be read.
2. Only what was read back counts as a backup. Then clients are told how far it covers their queues
   (`safe_mutation_id`): they keep their journal from there on, and send it again to a server that went back in time.
3. A restore is all or nothing: the new database is made ready beside the old one and then takes its place. What it
   replaces is kept until somebody removes it.
4. A restored database begins a new epoch for each tenant: the history after the backup is lost here, and known to be.
   Deliveries keep their keys, so a provider that honours them takes nothing twice; what was not settled in the backup
   is doubtful, for operations that do not promise so much.
"""

from server.ops.backup.copies import Beside, Covered, Restored, backup, restore
from server.ops.backup.errors import BackupError

__all__ = ["BackupError", "Beside", "Covered", "Restored", "backup", "restore"]
