-- One sweeper a tick; ends with the transaction.
SELECT pg_try_advisory_xact_lock(7225133814092035), floor(extract(epoch FROM now()) * 1000)::bigint
