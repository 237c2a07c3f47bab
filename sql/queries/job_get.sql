-- One job with everything. The columns are read by jobs/record.c in this order.
SELECT job_id, task_type, priority, status, extract(epoch FROM created_at), extract(epoch FROM started_at),
       extract(epoch FROM completed_at), progress, progress_message, error_message, error_code, retry_count,
       max_retries, CASE WHEN status = 'retrying' THEN extract(epoch FROM ready_at) END, worker_id,
       actual_duration, document_id, document_name, parent_job_id, pages_done, pages_total,
       result, claim_epoch, extract(epoch FROM progress_at), id
FROM processing_jobs WHERE job_id = $1::uuid
