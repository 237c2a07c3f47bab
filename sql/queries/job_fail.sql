-- Ends an attempt. $3 code, $4 message, $5 retryable, $6 delay in ms if there is an attempt left.
UPDATE processing_jobs
SET status = CASE WHEN $5::boolean AND retry_count < max_retries THEN 'retrying' ELSE 'failed' END,
    retry_count = retry_count + CASE WHEN $5::boolean AND retry_count < max_retries THEN 1 ELSE 0 END,
    ready_at = now() + $6::bigint * interval '1 millisecond',
    completed_at = CASE WHEN $5::boolean AND retry_count < max_retries THEN NULL ELSE now() END,
    actual_duration = CASE WHEN $5::boolean AND retry_count < max_retries THEN NULL
                           ELSE extract(epoch FROM now() - started_at)::bigint END,
    sealed_password = CASE WHEN $5::boolean AND retry_count < max_retries THEN sealed_password END,
    error_code = $3, error_message = $4, pool_id = NULL, progress_at = now(),
    progress_message = CASE WHEN $5::boolean AND retry_count < max_retries
                            THEN 'Waiting for the next attempt' ELSE 'Failed' END
WHERE job_id = $1::uuid AND claim_epoch = $2::bigint AND status = 'processing'
RETURNING status
