-- What a claimed maintenance job is to do, what its earlier runs did, and where they were.
SELECT payload->>'kind', payload->'done', payload->>'after' FROM processing_jobs
WHERE job_id = $1::uuid AND claim_epoch = $2::bigint AND status = 'processing'
