-- Dead for good: by id, or by host and process id when its end was seen.
UPDATE worker_pools SET dead_at = now()
WHERE dead_at IS NULL AND (pool_id = $1::uuid OR $1::uuid IS NULL AND host = $2 AND pid = $3::int)
