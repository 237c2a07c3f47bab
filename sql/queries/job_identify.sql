-- What a worker found out about the bytes it is about to read. $3 hash, $4 size, $5 media type. Returns the
-- hash that was known before.
UPDATE processing_jobs AS j
SET content_hash = $3,
    payload = j.payload || jsonb_build_object('content_hash', $3::text, 'file_size', $4::bigint,
                                              'content_type', $5::text)
FROM (SELECT id, content_hash FROM processing_jobs WHERE job_id = $1::uuid) AS before
WHERE j.id = before.id AND j.claim_epoch = $2::bigint AND j.status = 'processing'
RETURNING before.content_hash
