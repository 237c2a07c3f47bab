-- What a batch is to list.
SELECT payload->>'directory_path', payload->'file_patterns', coalesce((payload->>'recursive')::boolean, true)
FROM processing_jobs WHERE job_id = $1::uuid
