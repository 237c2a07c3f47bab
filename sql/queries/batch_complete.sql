-- The end of a batch that has no unfinished file. $2 message, $3 result, $4 files.
UPDATE processing_jobs
SET status = 'completed', completed_at = clock_timestamp(), progress = 100, progress_message = $2,
    progress_at = clock_timestamp(), result = $3::jsonb, pages_done = $4::int, pages_total = $4::int,
    actual_duration = extract(epoch FROM clock_timestamp() - started_at)::bigint
WHERE job_id = $1::uuid AND task_type = 'directory_batch' AND status = 'processing' AND pool_id IS NULL
