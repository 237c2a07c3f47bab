// SPDX-License-Identifier: AGPL-3.0-or-later

// The load of bench/submit.py: small uploads over one connection, a fixed number of calls at a time, for a time.
//
//	submit ADDRESS CONCURRENT SECONDS
//
// No two files are the same. Prints {"calls", "seconds", "p50", "p99", "max"} (ms) of the calls after the first
// fifth of the time, and "accepted": all calls that were answered with a job.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "localrag.example/peer/pb"
)

var filler = strings.Repeat("The quick brown fox jumps over the lazy dog.\n", 45)

func upload(client pb.UploadServiceClient, name string) error {
	data := name + "\n" + filler
	stream, err := client.UploadDocument(context.Background())
	if err != nil {
		return err
	}
	metadata := &pb.UploadMetadata{Filename: name + ".txt"}
	send := []*pb.UploadDocumentRequest{
		{Payload: &pb.UploadDocumentRequest_Metadata{Metadata: metadata}},
		{Payload: &pb.UploadDocumentRequest_Data{Data: []byte(data)}},
	}
	for _, message := range send {
		if stream.Send(message) != nil {
			break // the reason is in the answer
		}
	}
	answer, err := stream.CloseAndRecv()
	if err == nil && (answer.JobId == "" || answer.FileSize != int64(len(data))) {
		return fmt.Errorf("a wrong answer: %v", answer)
	}
	return err
}

func main() {
	concurrent, _ := strconv.Atoi(os.Args[2])
	seconds, _ := strconv.ParseFloat(os.Args[3], 64)
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	client := pb.NewUploadServiceClient(connection)
	start := time.Now()
	length := time.Duration(seconds * float64(time.Second))
	from, until := start.Add(length/5), start.Add(length)
	var all []time.Duration
	accepted := 0
	var lock sync.Mutex
	var wait sync.WaitGroup
	for c := range concurrent {
		wait.Add(1)
		go func() {
			defer wait.Done()
			var took []time.Duration
			n := 0
			for began := time.Now(); began.Before(until); began = time.Now() {
				if err := upload(client, fmt.Sprintf("%d-%d-%d", start.UnixNano(), c, n)); err != nil {
					log.Fatal(err)
				}
				n++
				if began.After(from) {
					took = append(took, time.Since(began))
				}
			}
			lock.Lock()
			all = append(all, took...)
			accepted += n
			lock.Unlock()
		}()
	}
	wait.Wait()
	if len(all) == 0 {
		log.Fatal("no call ended")
	}
	slices.Sort(all)
	ms := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))]) / 1e6 }
	json.NewEncoder(os.Stdout).Encode(map[string]any{"calls": len(all), "seconds": time.Since(from).Seconds(),
		"p50": ms(0.5), "p99": ms(0.99), "max": ms(1), "accepted": accepted})
}
