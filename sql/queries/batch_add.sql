-- Files of batch $1 become jobs that nobody may run yet: $2 claim, $3 keys, $4 paths, $5 names, $6 retries.
-- A file that an earlier listing found: completed stays, failed and cancelled are pending again. The caller
-- locks the batch under its fence afterwards, or rolls back: whoever holds a batch waits for none of its files.
INSERT INTO processing_jobs AS j (job_id, task_type, priority, payload, max_retries, document_name,
                                  parent_job_id, parent_path, ready_at)
SELECT gen_random_uuid(), 'single_document', p.priority,
       jsonb_build_object('file_path', f.path, 'file_name', f.name,
                          'metadata', coalesce(p.payload->'metadata', '{}'), 'languages', '[]'::jsonb),
       $6::int, f.name, p.job_id, f.key, 'infinity'
FROM processing_jobs AS p,
     unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS f (key, path, name, n)
WHERE p.job_id = $1::uuid AND p.claim_epoch = $2::bigint AND p.status = 'processing'
ORDER BY f.n
ON CONFLICT (parent_job_id, parent_path) WHERE parent_job_id IS NOT NULL DO UPDATE
SET status = 'pending', ready_at = 'infinity', payload = excluded.payload, retry_count = 0, crash_count = 0,
    completed_at = NULL, started_at = NULL, actual_duration = NULL, progress = 0, pages_done = 0,
    result = NULL, error_code = NULL, error_message = NULL, worker_id = NULL,
    progress_message = 'Waiting for a worker', progress_at = now()
WHERE j.status IN ('failed', 'cancelled')
