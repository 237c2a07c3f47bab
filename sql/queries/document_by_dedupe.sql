-- The stored document that a duplicate stands for.
SELECT document_id, page_count, chunk_count, content_type, revision_id FROM documents
WHERE dedupe_key = $1
