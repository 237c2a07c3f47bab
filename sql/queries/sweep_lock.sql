-- One sweeper a tick; ends with the transaction. One that stands still with it is ended before the lease of
-- its pool is, so that another can free what its host had.
SELECT pg_try_advisory_xact_lock(7225133814092035),
       set_config('idle_in_transaction_session_timeout', '5s', true)
