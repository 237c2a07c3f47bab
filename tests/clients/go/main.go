// SPDX-License-Identifier: AGPL-3.0-or-later

// A client as somebody who knows nothing but the proto files would write it: sends a document in pieces,
// watches its job to the end, reads result, pages and chunks, and looks at how errors arrive. Prints what it
// sees, one fact a line; tests/clients/test_go.sh reads them. Any surprise is a message and status 1.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	pb "localrag.test/clients/gen/localrag/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

const piece = 1000 // small, so that a document is many messages

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: client HOST:PORT FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(server, file string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := grpc.Dial(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()

	health, err := pb.NewHealthServiceClient(conn).GetHealth(ctx, &pb.GetHealthRequest{})
	if err != nil {
		return err
	}
	fmt.Println("health", health.Status, health.Components.Database.Status)

	accepted, err := upload(ctx, pb.NewUploadServiceClient(conn), file)
	if err != nil {
		return err
	}
	fmt.Println("accepted", accepted.Status, accepted.DocumentName, accepted.FileSize)

	jobs := pb.NewJobServiceClient(conn)
	last, err := watch(ctx, jobs, accepted.JobId)
	if err != nil {
		return err
	}
	fmt.Println("ended", last.Status, last.Progress)
	if err := read(ctx, conn, accepted.JobId); err != nil {
		return err
	}
	return refused(ctx, jobs)
}

func upload(ctx context.Context, c pb.UploadServiceClient, file string) (*pb.UploadDocumentResponse, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	stream, err := c.UploadDocument(ctx)
	if err != nil {
		return nil, err
	}
	about, err := structpb.NewStruct(map[string]interface{}{"from": "go"})
	if err != nil {
		return nil, err
	}
	first := &pb.UploadDocumentRequest{Payload: &pb.UploadDocumentRequest_Metadata{
		Metadata: &pb.UploadMetadata{Filename: filepath.Base(file), Metadata: about}}}
	if err := stream.Send(first); err != nil {
		return nil, err
	}
	for len(data) > 0 {
		n := piece
		if n > len(data) {
			n = len(data)
		}
		next := &pb.UploadDocumentRequest{Payload: &pb.UploadDocumentRequest_Data{Data: data[:n]}}
		if err := stream.Send(next); err != nil && err != io.EOF {
			return nil, err
		}
		data = data[n:]
	}
	return stream.CloseAndRecv()
}

func watch(ctx context.Context, c pb.JobServiceClient, id string) (*pb.Job, error) {
	stream, err := c.WatchJob(ctx, &pb.WatchJobRequest{JobId: id})
	if err != nil {
		return nil, err
	}
	var last *pb.Job
	for events := 0; ; events++ {
		event, err := stream.Recv()
		if err == io.EOF {
			fmt.Println("watched", events > 0)
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		last = event.Job
	}
}

func read(ctx context.Context, conn *grpc.ClientConn, id string) error {
	result, err := pb.NewJobServiceClient(conn).GetJobResult(ctx, &pb.GetJobResultRequest{JobId: id})
	if err != nil {
		return err
	}
	document := result.Result.GetDocument()
	fmt.Println("engines", document.Engines["text"], document.Engines["ocr"])
	documents := pb.NewDocumentServiceClient(conn)
	got, err := documents.GetDocument(ctx, &pb.GetDocumentRequest{DocumentId: document.DocumentId})
	if err != nil {
		return err
	}
	fmt.Println("metadata", got.Metadata.AsMap()["from"], "created", got.CreatedAt.AsTime().Year() > 2000)
	pages, err := documents.ListPages(ctx, &pb.ListPagesRequest{DocumentId: document.DocumentId, Text: true})
	if err != nil {
		return err
	}
	chunks, err := documents.ListChunks(ctx, &pb.ListChunksRequest{DocumentId: document.DocumentId})
	if err != nil {
		return err
	}
	fmt.Println("pages", len(pages.Pages), "chunks", len(chunks.Chunks), "total", chunks.Total)
	// The pieces that spans name, joined, are the content of the chunk: offsets count code points.
	for _, chunk := range chunks.Chunks {
		joined := ""
		for _, span := range chunk.Spans {
			joined += string([]rune(pages.Pages[span.Page-1].GetText())[span.Start:span.End])
		}
		if joined != chunk.Content {
			return fmt.Errorf("chunk %d is not what its spans say: %q", chunk.ChunkIndex, joined)
		}
	}
	fmt.Println("spans fit")
	return nil
}

func refused(ctx context.Context, c pb.JobServiceClient) error {
	var trailer metadata.MD
	_, err := c.GetJob(ctx, &pb.GetJobRequest{JobId: "00000000-0000-0000-0000-000000000000"}, grpc.Trailer(&trailer))
	if err == nil {
		return fmt.Errorf("an unknown job was found")
	}
	fmt.Println("refused", status.Code(err), trailer.Get("localrag-code"))
	return nil
}
