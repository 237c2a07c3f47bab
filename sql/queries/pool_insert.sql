-- A new pool.
INSERT INTO worker_pools (pool_id, host, pid, version) VALUES ($1::uuid, $2, $3::int, $4)
