-- The fence of a slice, and what was done so far: $3 as JSON, $4 where it was, $5 message. Last in its
-- transaction: without a row the slice never was.
UPDATE processing_jobs
SET payload = payload || jsonb_build_object('done', $3::jsonb, 'after', $4::text), progress_message = $5,
    progress_at = now()
WHERE job_id = $1::uuid AND claim_epoch = $2::bigint AND status = 'processing'
