-- A job that reads the original of document $2 again. No row when there is no such document.
INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries, document_name, document_id,
                             content_hash)
SELECT $1::uuid, 'document_reprocess', 'medium',
       jsonb_build_object('document_id', d.document_id, 'file_path', d.file_path, 'file_name', d.file_name,
                          'content_type', d.content_type, 'file_size', d.file_size,
                          'content_hash', d.content_hash, 'metadata', d.metadata,
                          'languages', to_jsonb(d.own_languages)),
       $3::int, d.file_name, d.document_id, d.content_hash
FROM documents AS d WHERE d.document_id = $2::uuid
RETURNING floor(extract(epoch FROM ready_at) * 1000)::bigint
