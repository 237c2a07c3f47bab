-- Checkpoints under the fence; a page that is there already stays as it is.
-- The share lock keeps the claim from changing hands before these rows are committed.
WITH claim AS (
    SELECT job_id FROM processing_jobs
    WHERE job_id = $1::uuid AND claim_epoch = $2::bigint AND status = 'processing' FOR SHARE),
saved AS (
    INSERT INTO document_pages (revision_id, page, label, engine, reason, error, text, confidence,
                                char_count, width, height, rotation, ms, layout)
    SELECT claim.job_id, p.*
    FROM claim, unnest($3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                       $9::float8[], $10::int[], $11::float8[], $12::float8[], $13::int[], $14::int[],
                       $15::bytea[]) AS p
    ON CONFLICT DO NOTHING)
SELECT count(*) FROM claim
