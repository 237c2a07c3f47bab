-- Jobs that end well, each under its own fence; what does not come back was lost.
UPDATE processing_jobs AS j
SET status = 'completed', completed_at = now(), pool_id = NULL, sealed_password = NULL, progress = 100,
    progress_message = f.message, progress_at = now(), result = f.result::jsonb,
    document_id = f.document_id, pages_done = f.pages, pages_total = f.pages,
    actual_duration = date_part('epoch', now() - j.started_at)::bigint
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::uuid[], $6::int[])
     AS f (job_id, epoch, message, result, document_id, pages)
WHERE j.job_id = f.job_id AND j.claim_epoch = f.epoch AND j.status = 'processing'
RETURNING j.job_id
