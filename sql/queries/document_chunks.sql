-- Chunks behind $2 of a revision.
SELECT chunk_id, chunk_index, content, page_start, page_end, spans, heading_path, token_count
FROM chunks WHERE revision_id = $1::uuid AND chunk_index > $2::int ORDER BY chunk_index LIMIT $3::int
