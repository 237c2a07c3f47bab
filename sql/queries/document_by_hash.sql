-- A stored document with the same bytes.
SELECT document_id FROM documents WHERE content_hash = $1 ORDER BY created_at LIMIT 1
