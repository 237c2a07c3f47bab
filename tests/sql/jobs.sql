-- SPDX-License-Identifier: AGPL-3.0-or-later
-- A service that has run for two months: 1,000,000 jobs. For test_plans.py, behind
-- tests/support/bulk.sql. Ids are md5 of a name and a number, so that the test can name any row.
--
-- Jobs by number i: 1-20 directory batches under way, 21-220 running, from there every fourth a file of
-- one of the batches (number 1 has the most), the others uploads; those above 850,000 are the backlog.
INSERT INTO worker_pools (pool_id, host, pid, version)
SELECT md5('pool' || p)::uuid, 'host' || p, p, '1' FROM generate_series(1, 8) AS p;
INSERT INTO workers (pool_id, name, priority, current_job)
SELECT md5('pool' || p)::uuid, 'general-' || w, 'any', md5('job' || 20 + 25 * (p - 1) + w)::uuid
FROM generate_series(1, 8) AS p, generate_series(1, 25) AS w;
INSERT INTO job_statistics (date, total_jobs) SELECT CURRENT_DATE - d, 16000 FROM generate_series(1, 60) AS d;
INSERT INTO job_ends SELECT CURRENT_DATE, 'completed', 3, 5, 30 FROM generate_series(1, 6000);
INSERT INTO worker_control (running) VALUES (true);

SELECT pg_temp.indexes_off('processing_jobs');
INSERT INTO processing_jobs
    (job_id, task_type, priority, status, created_at, started_at, completed_at, progress, error_message,
     retry_count, payload, result, worker_id, actual_duration, progress_message, progress_at, pages_done,
     pages_total, error_code, max_retries, ready_at, claim_epoch, pool_id, document_id, document_name,
     content_hash, parent_job_id, parent_path, idempotency_key)
SELECT md5('job' || i)::uuid,
       CASE WHEN i <= 20 OR i % 10000 = 2001 THEN 'directory_batch' WHEN child IS NOT NULL THEN 'single_document'
            WHEN i % 50 = 3 THEN 'document_reprocess' WHEN i % 1000 = 7 THEN 'maintenance' ELSE 'single_document' END,
       CASE i % 10 WHEN 1 THEN 'high' WHEN 2 THEN 'low' WHEN 5 THEN 'low' ELSE 'medium' END,
       s, t, CASE WHEN s NOT IN ('pending') THEN t END, CASE WHEN ended THEN t + interval '30 s' END,
       CASE s WHEN 'completed' THEN 100 ELSE 0 END, CASE s WHEN 'failed' THEN 'could not open document' END,
       CASE WHEN s IN ('failed', 'retrying') THEN 1 ELSE 0 END,
       jsonb_build_object('file_path', 'blobs/' || i, 'file_size', 123456, 'content_type', 'application/pdf'),
       CASE s WHEN 'completed' THEN jsonb_build_object('page_count', 12, 'content_type', 'application/pdf') END,
       CASE WHEN s NOT IN ('pending') THEN 'general-1@host1' END, CASE WHEN ended THEN 30 END,
       'Finished', t, 12, 12, CASE s WHEN 'failed' THEN 'UNREADABLE' END, 3,
       CASE WHEN child IS NOT NULL AND s = 'pending' AND i % 1000 <> 0 THEN 'infinity'
            WHEN s = 'retrying' THEN now() + i % 3600 * interval '1 s' ELSE t END,
       1, CASE WHEN s = 'processing' AND i > 20 THEN md5('pool' || (i - 21) / 25 + 1)::uuid END,
       CASE s WHEN 'completed' THEN md5('document' || i)::uuid END, 'file ' || i || '.pdf', md5('hash' || i),
       child, CASE WHEN child IS NOT NULL THEN '/files/' || i END,
       CASE WHEN i % 10 = 3 THEN 'key' || i END
FROM (SELECT i, s, s IN ('completed', 'failed', 'cancelled') AS ended,
             now() - (1000001 - i) * interval '5 s' AS t,
             CASE WHEN i > 220 AND i % 4 = 0
                  THEN md5('job' || CASE WHEN i % 8 = 0 THEN 1 ELSE i / 4 % 20 + 1 END)::uuid END AS child
      FROM generate_series(1, 1000000) AS i,
           LATERAL (SELECT CASE WHEN i <= 220 THEN 'processing'
                                WHEN i > 850000 AND i % 100 = 1 THEN 'retrying'
                                WHEN i > 850000 OR i % 4 = 0 AND i > 600000 THEN 'pending'
                                WHEN i % 20 = 5 THEN 'failed'
                                WHEN i % 50 = 11 THEN 'cancelled' ELSE 'completed' END AS s) AS x) AS g;
SELECT pg_temp.indexes_on();
VACUUM (ANALYZE) processing_jobs, worker_pools, workers, worker_control, job_statistics, job_ends;
