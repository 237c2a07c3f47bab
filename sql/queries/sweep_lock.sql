-- One sweeper a tick; ends with the transaction. One that stands still with it is ended before the lease of
-- its pool is, so that another can free what its host had. And when the tick began, in ms since 1970.
SELECT pg_try_advisory_xact_lock(7225133814092035), floor(extract(epoch FROM now()) * 1000)::bigint,
       set_config('idle_in_transaction_session_timeout', '5s', true)
