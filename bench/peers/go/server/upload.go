// SPDX-License-Identifier: AGPL-3.0-or-later

// The peer of bench/submit.py: UploadService.UploadDocument with one commit a call. As durable as
// localrag-server's answer: file, folder and root are fsynced, then the row is committed. Less is done for it:
// no type is looked for, nothing is checked, no document with the same bytes is looked up, no hint is pushed.
package main

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "localrag.example/peer/pb"
)

const insert = `INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries, document_name,
    content_hash, idempotency_key, sealed_password)
VALUES ($1, 'single_document', 'high', jsonb_build_object('file_path', $2::text, 'file_name', $3::text,
    'content_type', 'text/plain', 'content_hash', $4::text, 'file_size', $5::bigint, 'metadata', '{}'::jsonb,
    'languages', '[]'::jsonb), 3, $3, $4, NULL, NULL)
ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING`

type uploads struct {
	pb.UnimplementedUploadServiceServer
	pool *pgxpool.Pool
	root string
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

func store(root, folder, path string, data []byte) error {
	if err := os.Mkdir(folder, 0o750); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := syncFolder(folder); err != nil {
		return err
	}
	return syncFolder(root)
}

func (s *uploads) UploadDocument(stream grpc.ClientStreamingServer[pb.UploadDocumentRequest, pb.UploadDocumentResponse]) error {
	var name string
	var data []byte
	for {
		in, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if metadata := in.GetMetadata(); metadata != nil {
			name = filepath.Base(metadata.Filename)
		}
		data = append(data, in.GetData()...)
	}
	var raw [16]byte
	rand.Read(raw[:])
	id := fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
	hash := fmt.Sprintf("%x", sha256.Sum256(data))
	folder := filepath.Join(s.root, id)
	path := filepath.Join(folder, name)
	if err := store(s.root, folder, path, data); err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	if _, err := s.pool.Exec(stream.Context(), insert, id, path, name, hash, len(data)); err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	return stream.SendAndClose(&pb.UploadDocumentResponse{JobId: id, FilePath: path, Status: "queued",
		DocumentName: name, FileSize: int64(len(data)), ContentHash: hash})
}
