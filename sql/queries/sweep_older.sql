-- Runnable rows of a lane older than its head ($2, ms; null: the lane is empty), older than one second. $4:
-- where to begin (ms); rows that ended long ago stay in the index while a snapshot is held.
SELECT job_id, floor(extract(epoch FROM ready_at) * 1000)::bigint FROM processing_jobs
WHERE priority = $1 AND status IN ('pending', 'retrying')
  AND ready_at <= now() - interval '1 second' AND ready_at >= to_timestamp($4::bigint / 1000.0)
  AND ($2::bigint IS NULL OR ready_at < to_timestamp($2::bigint / 1000.0))
ORDER BY ready_at, job_id LIMIT $3::int
