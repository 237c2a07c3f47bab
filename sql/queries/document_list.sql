-- Documents, newest first; $1 and $2 are created_at and id of the last one seen, $3 a limit. One bound in any
-- case, not an OR: a plan for any arguments then begins in the index where the page does.
SELECT document_id, file_name, file_path, file_size, content_hash, content_type, page_count,
       chunk_count, title, to_jsonb(languages), metadata, extract(epoch FROM created_at),
       extract(epoch FROM updated_at), revision, revision_id,
       floor(extract(epoch FROM created_at) * 1000000)::bigint
FROM documents
WHERE (created_at, document_id)
    < (coalesce(to_timestamp(0) + $1::bigint * interval '1 microsecond', 'infinity'),
       coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
ORDER BY created_at DESC, document_id DESC LIMIT $3::int
