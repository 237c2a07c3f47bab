-- A pool that ended cleanly.
DELETE FROM worker_pools WHERE pool_id = $1::uuid
