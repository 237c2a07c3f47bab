-- SPDX-License-Identifier: AGPL-3.0-or-later
-- 160,000 documents of the jobs in jobs.sql, 600,000 pages and as many chunks. For test_plans.py, behind
-- tests/support/bulk.sql, beside jobs.sql.
SELECT pg_temp.indexes_off('documents');
INSERT INTO documents (document_id, revision_id, dedupe_key, content_hash, file_name, file_path, file_size,
                       content_type, page_count, chunk_count, created_at)
SELECT md5('document' || i)::uuid, md5('job' || i)::uuid, 'key' || i, md5('hash' || i), i || '.pdf', 'blobs/' || i,
       123456, 'application/pdf', 12, 30, now() - (1000001 - i) * interval '5 s'
FROM generate_series(222, 800000, 5) AS i;
SELECT pg_temp.indexes_on();

SELECT pg_temp.indexes_off('document_pages');
INSERT INTO document_pages (revision_id, page, engine, char_count, width, height, rotation, ms, text)
SELECT md5('job' || i)::uuid, p, CASE WHEN p = 12 THEN 'failed' ELSE 'text' END, 160, 595, 842, 0, 1, repeat('word ', 10)
FROM generate_series(222, 250000, 5) AS i, generate_series(1, 12) AS p;
SELECT pg_temp.indexes_on();

SELECT pg_temp.indexes_off('chunks');
INSERT INTO chunks (revision_id, chunk_index, chunk_id, content, page_start, page_end, spans, token_count)
SELECT md5('job' || i)::uuid, c, md5('chunk' || i || c)::uuid, repeat('word ', 10), c, c, '[]', 32
FROM generate_series(222, 250000, 5) AS i, generate_series(1, 12) AS c;
SELECT pg_temp.indexes_on();
VACUUM (ANALYZE) documents, document_pages, chunks;
