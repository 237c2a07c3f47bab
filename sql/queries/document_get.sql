-- One document.
SELECT document_id, file_name, file_path, file_size, content_hash, content_type, page_count,
       chunk_count, title, to_jsonb(languages), metadata, extract(epoch FROM created_at),
       extract(epoch FROM updated_at), revision, revision_id
FROM documents WHERE document_id = $1::uuid
