-- The listing is done: the batch stays processing without a worker. $3 files, $4 of them ended before. 0.05:
-- ahead of what was told while listing (jobs/event.h).
UPDATE processing_jobs
SET pool_id = NULL, pages_total = $3::int, pages_done = $4::int, progress_at = now(),
    progress = least(99.9999, greatest(progress, 0.05, trunc(100.0 * $4::int / greatest($3::int, 1), 4))),
    progress_message = format('Processed file %s of %s', $4::int, $3::int)
WHERE job_id = $1::uuid AND claim_epoch = $2::bigint AND status = 'processing'
RETURNING progress, progress_message
