-- One migrator at a time, for the length of the transaction.
SELECT pg_advisory_xact_lock(7225133814092034)
