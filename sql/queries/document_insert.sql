-- The document of a finished job. No row when the same bytes and settings are there.
INSERT INTO documents (document_id, revision_id, dedupe_key, content_hash, file_name, file_path,
                       file_size, content_type, page_count, chunk_count, title, languages, metadata,
                       own_languages)
VALUES ($1::uuid, $2::uuid, $3, $4, $5, $6, $7::bigint, $8, $9::int,
        (SELECT count(*) FROM chunks WHERE revision_id = $2::uuid), $10, $11::text[], $12::jsonb,
        $13::text[])
ON CONFLICT (dedupe_key) DO NOTHING
RETURNING document_id, chunk_count
