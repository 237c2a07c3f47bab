-- One of these that waits to run alone, if there is any (job_claim.sql).
SELECT job_id FROM processing_jobs
WHERE job_id = ANY ($1::uuid[]) AND status || '' IN ('pending', 'retrying') AND ready_at <= now() AND crash_count >= 2
LIMIT 1
