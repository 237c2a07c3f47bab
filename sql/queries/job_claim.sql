-- Takes jobs for the workers of one living pool; the only place where the fence grows.
-- $1 pool, $2 job ids, $3 worker names, $4 the pool is idle, $5 host suffix of worker ids.
-- A job that was with two workers when they died runs alone (JOB_ALONE_CRASHES): the next crash has one culprit.
-- status || '': found by job_id only. Few jobs wait as a rule, so the planner would rather go through the index
-- of all that do, and while a snapshot is held it has everything that ever waited since.
UPDATE processing_jobs AS j
SET status = 'processing', claim_epoch = j.claim_epoch + 1, pool_id = $1::uuid,
    worker_id = w.name || '@' || $5, started_at = now(), completed_at = NULL, actual_duration = NULL,
    error_message = NULL, error_code = NULL, progress = 0, pages_done = 0,
    progress_message = 'Starting', progress_at = now()
FROM unnest($2::uuid[], $3::text[]) AS w (job_id, name)
WHERE j.job_id = w.job_id AND j.status || '' IN ('pending', 'retrying') AND j.ready_at <= now()
  AND (j.crash_count < 2 OR $4::boolean AND cardinality($2::uuid[]) = 1)
  AND EXISTS (SELECT 1 FROM worker_pools AS p WHERE p.pool_id = $1::uuid AND p.dead_at IS NULL)
RETURNING j.job_id, j.claim_epoch, w.name, j.task_type, j.payload->>'file_path', j.document_name,
          j.payload->>'content_type', j.content_hash, j.payload->>'file_size', j.retry_count,
          j.max_retries, j.crash_count, j.payload->'metadata', j.payload->'languages',
          j.sealed_password, j.parent_job_id,
          CASE WHEN j.task_type = 'document_reprocess' THEN j.document_id END
