-- Cancels the unfinished files of a batch, before the batch itself; waits for those that somebody has locked.
-- Returns those that may be running.
WITH picked AS MATERIALIZED (
    SELECT id, ready_at FROM processing_jobs
    WHERE parent_job_id = $1::uuid AND status IN ('pending', 'retrying', 'processing')
    ORDER BY id FOR NO KEY UPDATE),
ended AS (
    UPDATE processing_jobs AS c
    SET status = 'cancelled', completed_at = now(), pool_id = NULL, sealed_password = NULL,
        progress_message = 'Cancelled', progress_at = now(),
        actual_duration = extract(epoch FROM now() - started_at)::bigint
    FROM picked WHERE c.id = picked.id AND c.status IN ('pending', 'retrying', 'processing')
    RETURNING c.job_id, c.claim_epoch, picked.ready_at)
SELECT job_id, claim_epoch FROM ended WHERE ready_at < 'infinity'
