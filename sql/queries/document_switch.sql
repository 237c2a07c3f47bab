-- Readers see revision $2 from now on. A key that another document has stays with it.
UPDATE documents AS d
SET revision_id = $2::uuid, revision = d.revision + 1,
    dedupe_key = CASE WHEN EXISTS (SELECT 1 FROM documents AS o
                                   WHERE o.dedupe_key = $3 AND o.document_id <> d.document_id)
                      THEN NULL ELSE $3 END,
    content_hash = $4, file_size = $5::bigint, content_type = $6, page_count = $7::int,
    chunk_count = (SELECT count(*) FROM chunks WHERE revision_id = $2::uuid), title = $8,
    languages = $9::text[], updated_at = now()
WHERE d.document_id = $1::uuid
RETURNING chunk_count
