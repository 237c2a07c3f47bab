// SPDX-License-Identifier: AGPL-3.0-or-later

// The peer of bench/api.py: JobService.GetJob as one writes it in Go, with grpc-go and a pgx pool. Every
// call reads the job's row; the answer is the same message. Nothing is tuned but the number of database
// connections, which is that of localrag-server.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "localrag.example/peer/pb"
)

const query = `SELECT job_id::text, task_type, priority, status, created_at, started_at, completed_at, progress,
       progress_message, error_message, error_code, retry_count, max_retries,
       CASE WHEN status = 'retrying' THEN ready_at END, worker_id, actual_duration, document_id::text,
       document_name, parent_job_id::text, pages_done, pages_total, result
FROM processing_jobs WHERE job_id = $1`

type server struct {
	pb.UnimplementedJobServiceServer
	pool *pgxpool.Pool
}

var (
	taskTypes = map[string]pb.TaskType{
		"single_document": pb.TaskType_TASK_TYPE_SINGLE_DOCUMENT, "directory_batch": pb.TaskType_TASK_TYPE_DIRECTORY_BATCH,
		"document_reprocess": pb.TaskType_TASK_TYPE_DOCUMENT_REPROCESS, "maintenance": pb.TaskType_TASK_TYPE_MAINTENANCE,
	}
	priorities = map[string]pb.Priority{
		"high": pb.Priority_PRIORITY_HIGH, "medium": pb.Priority_PRIORITY_MEDIUM, "low": pb.Priority_PRIORITY_LOW,
	}
	states = map[string]pb.JobStatus{
		"pending": pb.JobStatus_JOB_STATUS_PENDING, "processing": pb.JobStatus_JOB_STATUS_PROCESSING,
		"completed": pb.JobStatus_JOB_STATUS_COMPLETED, "failed": pb.JobStatus_JOB_STATUS_FAILED,
		"cancelled": pb.JobStatus_JOB_STATUS_CANCELLED, "retrying": pb.JobStatus_JOB_STATUS_RETRYING,
	}
)

func stamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

func (s *server) GetJob(ctx context.Context, in *pb.GetJobRequest) (*pb.Job, error) {
	job := &pb.Job{}
	var taskType, priority, state string
	var created, started, completed, next *time.Time
	var result []byte
	err := s.pool.QueryRow(ctx, query, in.JobId).Scan(&job.JobId, &taskType, &priority, &state, &created, &started,
		&completed, &job.Progress, &job.ProgressMessage, &job.ErrorMessage, &job.ErrorCode, &job.RetryCount,
		&job.MaxRetries, &next, &job.WorkerId, &job.ActualDuration, &job.DocumentId, &job.DocumentName,
		&job.ParentJobId, &job.PagesDone, &job.PagesTotal, &result)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, status.Errorf(codes.NotFound, "job %q does not exist", in.JobId)
	}
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	job.TaskType, job.Priority, job.Status = taskTypes[taskType], priorities[priority], states[state]
	job.CreatedAt, job.StartedAt, job.CompletedAt, job.NextAttemptAt = stamp(created), stamp(started), stamp(completed), stamp(next)
	if job.Status == pb.JobStatus_JOB_STATUS_COMPLETED && result != nil {
		document := &pb.DocumentResult{}
		if err := protojson.Unmarshal(result, document); err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		job.Result = &pb.JobResult{Kind: &pb.JobResult_Document{Document: document}}
	}
	return job, nil
}

func main() {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("GRPC_PORT"))
	if err != nil {
		log.Fatal(err)
	}
	s := grpc.NewServer()
	pb.RegisterJobServiceServer(s, &server{pool: pool})
	pb.RegisterUploadServiceServer(s, &uploads{pool: pool, root: os.Getenv("UPLOADS_PATH")})
	log.Fatal(s.Serve(listener))
}
