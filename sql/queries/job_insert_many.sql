-- New jobs, one for each caller of a group. A row for each, in the same order: when it may run (null: its
-- idempotency key is taken), and the document with the same bytes if $10. Keys are inserted in their own
-- order, so that two servers that have the same ones at the same moment cannot deadlock. Not ORDER BY LIMIT 1:
-- that invites a plan that reads all documents in their order.
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::bytea[]) WITH ORDINALITY
        AS g (job_id, task_type, priority, payload, document_name, content_hash, idempotency_key,
              sealed_password, n)
), made AS (
    INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries, document_name,
                                 content_hash, idempotency_key, sealed_password)
    SELECT job_id, task_type, priority, payload::jsonb, $9::int, document_name, content_hash,
           idempotency_key, sealed_password
    FROM given ORDER BY idempotency_key, n
    ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING job_id, floor(extract(epoch FROM ready_at) * 1000)::bigint AS ready_ms
)
SELECT made.ready_ms,
       CASE WHEN $10::boolean THEN (SELECT (array_agg(d.document_id ORDER BY d.created_at))[1]
                                    FROM documents AS d WHERE d.content_hash = given.content_hash) END
FROM given LEFT JOIN made USING (job_id)
ORDER BY given.n
