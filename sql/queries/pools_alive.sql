-- What a sweeper watches; and pools whose end somebody has seen just now.
SELECT pool_id, beats, dead_at IS NOT NULL FROM worker_pools
WHERE dead_at IS NULL OR dead_at > now() - interval '15 seconds'
