// SPDX-License-Identifier: AGPL-3.0-or-later

// Command queuepeer COUNT stores COUNT no-op jobs of 200 bytes, then runs them with River, and prints one
// JSON line: seconds from the first job's entry to the last stored completion, entries, different jobs.
// Storing is not timed. PostgreSQL is DATABASE_URL. The client is set as in River's own benchmark (2,000
// workers, fetch cooldown 2 ms, poll interval 20 ms).
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

type args struct {
	File string `json:"file"`
}

func (args) Kind() string { return "noop" }

type worker struct {
	river.WorkerDefaults[args]
	lock    sync.Mutex
	first   time.Time
	entries int
	seen    map[int64]bool
}

func (w *worker) Work(_ context.Context, job *river.Job[args]) error {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.entries == 0 {
		w.first = time.Now()
	}
	w.entries++
	w.seen[job.ID] = true
	return nil
}

func drain(count int) error {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	config.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	w := &worker{seen: make(map[int64]bool, count)}
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	client, err := river.NewClient(driver, &river.Config{
		FetchCooldown:     2 * time.Millisecond,
		FetchPollInterval: 20 * time.Millisecond,
		Logger:            slog.New(slog.NewTextHandler(io.Discard, nil)),
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2000}},
		Workers:           workers,
	})
	if err != nil {
		return err
	}
	for done := 0; done < count; {
		n := min(1000, count-done)
		batch := make([]river.InsertManyParams, n)
		for i := range batch {
			batch[i].Args = args{File: strings.Repeat("x", 180)}
		}
		if _, err := client.InsertManyFast(ctx, batch); err != nil {
			return err
		}
		done += n
	}
	events, cancel := client.SubscribeConfig(&river.SubscribeConfig{
		ChanSize: count + 1000,
		Kinds:    []river.EventKind{river.EventKindJobCompleted},
	})
	defer cancel()
	if err := client.Start(ctx); err != nil {
		return err
	}
	for i := 0; i < count; i++ {
		<-events
	}
	last := time.Now()
	if err := client.Stop(ctx); err != nil {
		return err
	}
	var stored int
	row := pool.QueryRow(ctx, "SELECT count(*) FROM river_job WHERE state = 'completed'")
	if err := row.Scan(&stored); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"peer": "river", "jobs": count,
		"seconds": last.Sub(w.first).Seconds(), "entries": w.entries, "different": len(w.seen), "stored": stored})
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: queuepeer COUNT")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[1])
	if err == nil {
		err = drain(count)
	}
	if err != nil {
		log.Fatal(err)
	}
}
