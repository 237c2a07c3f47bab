-- What a sweeper watches.
SELECT pool_id, beats FROM worker_pools WHERE dead_at IS NULL
