-- Jobs the row says this pool has but the pool does not (a claim whose answer was lost).
UPDATE processing_jobs
SET status = 'pending', pool_id = NULL, progress_at = now(),
    progress_message = 'Waiting for a worker'
WHERE id IN (SELECT id FROM held_jobs WHERE pool_id = $1::uuid)
  AND pool_id = $1::uuid AND status = 'processing' AND started_at < now() - interval '5 seconds'
  AND NOT job_id = ANY ($2::uuid[])
RETURNING job_id, claim_epoch, priority, floor(extract(epoch FROM ready_at) * 1000)::bigint
