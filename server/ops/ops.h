/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* ops.h - every unary RPC and the function that answers it, one line each.
 *
 * methods.c joins this list with the descriptor set at start and refuses to run when an RPC has no
 * row, a row has no RPC, or a type differs. Streams are not here: a client stream is an upload
 * (rpc_upload.c, rest), a server stream a watch (rpc_watch.c, rest). */
#ifndef SERVER_OPS_OPS_H
#define SERVER_OPS_OPS_H

#include <protobuf-c/protobuf-c.h>

#include "jobs/jobs.h"

/* service, method, function, type of `in`, type of `out` */
#define OPS(X)                                                                                     \
    X(JobService, GetJob, op_get_job, GetJobRequest, Job)                                          \
    X(JobService, GetJobProgress, op_get_job_progress, GetJobProgressRequest, JobProgress)         \
    X(JobService, GetJobResult, op_get_job_result, GetJobResultRequest, GetJobResultResponse)      \
    X(JobService, ListJobs, op_list_jobs, ListJobsRequest, ListJobsResponse)                       \
    X(JobService, CancelJob, op_cancel_job, CancelJobRequest, CancelJobResponse)                   \
    X(JobService, RetryJob, op_retry_job, RetryJobRequest, RetryJobResponse)                       \
    X(JobService, CleanupJobs, op_cleanup_jobs, CleanupJobsRequest, CleanupJobsResponse)           \
    X(JobService, GetJobStatistics, op_get_job_statistics, GetJobStatisticsRequest, JobStatistics) \
    X(WorkerService, ListWorkers, op_list_workers, ListWorkersRequest, ListWorkersResponse)        \
    X(WorkerService, StartWorkers, op_start_workers, StartWorkersRequest, WorkersResponse)         \
    X(WorkerService, StopWorkers, op_stop_workers, StopWorkersRequest, WorkersResponse)            \
    X(WorkerService, GetWorkerHealth, op_get_worker_health, GetWorkerHealthRequest, WorkerHealth)  \
    X(DocumentService, GetDocument, op_get_document, GetDocumentRequest, Document)                 \
    X(DocumentService, ListDocuments, op_list_documents, ListDocumentsRequest,                     \
      ListDocumentsResponse)                                                                       \
    X(DocumentService, DeleteDocument, op_delete_document, DeleteDocumentRequest,                  \
      DeleteDocumentResponse)                                                                      \
    X(DocumentService, ListPages, op_list_pages, ListPagesRequest, ListPagesResponse)              \
    X(DocumentService, ListChunks, op_list_chunks, ListChunksRequest, ListChunksResponse)          \
    X(DocumentService, ReprocessDocument, op_reprocess_document, ReprocessDocumentRequest,         \
      ReprocessDocumentResponse)                                                                   \
    X(IngestDirectoryService, IngestDirectory, op_ingest_directory, IngestDirectoryRequest,        \
      IngestDirectoryResponse)                                                                     \
    X(HealthService, GetHealth, op_get_health, GetHealthRequest, Health)

/* The contract of these functions is op_fn in server/methods.h. */
#define OPS_PROTOTYPE(service, method, fn, in_type, out_type)                                      \
    enum code fn(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,                    \
                 ProtobufCMessage *out) MUST_CHECK;
OPS(OPS_PROTOTYPE)
#undef OPS_PROTOTYPE

#endif
