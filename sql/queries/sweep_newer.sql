-- Runnable rows of a lane at or behind its tail ($2, ms).
SELECT job_id, floor(extract(epoch FROM ready_at) * 1000)::bigint FROM processing_jobs
WHERE priority = $1 AND status IN ('pending', 'retrying') AND ready_at <= now()
  AND ready_at >= to_timestamp($2::bigint / 1000.0)
ORDER BY ready_at, job_id LIMIT $3::int
