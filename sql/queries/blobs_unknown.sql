-- Which of the folders $1 nobody needs: no document's original is in it, and no job that it was sent for may
-- still run or be tried again.
SELECT i.id FROM unnest($1::uuid[]) AS i (id)
WHERE coalesce((SELECT j.status FROM processing_jobs AS j WHERE j.job_id = i.id), 'completed') = 'completed'
  AND (SELECT 1 FROM documents AS d
       WHERE substring(d.file_path from '/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/[^/]*$')
             = i.id::text LIMIT 1) IS NULL
