-- Runnable rows of a lane at or behind its tail ($2, ms). Not now(): that is when the tick began, and a
-- row committed since, whose push was dropped because of the overflow mark, must be found.
SELECT job_id, floor(extract(epoch FROM ready_at) * 1000)::bigint FROM processing_jobs
WHERE priority = $1 AND status IN ('pending', 'retrying') AND ready_at <= (SELECT clock_timestamp())
  AND ready_at >= to_timestamp($2::bigint / 1000.0)
ORDER BY ready_at, job_id LIMIT $3::int
