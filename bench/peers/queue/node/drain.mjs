// SPDX-License-Identifier: AGPL-3.0-or-later
// drain.mjs PEER COUNT - stores COUNT no-op jobs of 200 bytes in bulk, then runs them, and prints one JSON
// line: the seconds from the first job's entry to the last one's stored end, how many entries there were,
// and how many different jobs. Storing is not timed. PostgreSQL is DATABASE_URL, a database of the
// caller's making; Redis is REDIS_URL.
//
// Settings are the peer's own defaults except where a line here says otherwise; concurrency is what its
// authors measure with.
import pg from 'pg';

const [peer, text] = process.argv.slice(2);
const count = Number(text);
const database = process.env.DATABASE_URL;
const payload = { file: 'x'.repeat(180) };
const silent = { debug() {}, info() {}, warn() {}, error: console.error };

const ids = new Set();
let entries = 0, first = 0, ended = 0;
let allEnded;
const all = new Promise((resolve) => { allEnded = resolve; });

function enter(id) {
    first ||= performance.now();
    entries++;
    ids.add(String(id));
}

function end(n = 1) {
    ended += n;
    if (ended === count) allEnded(performance.now());
}

async function query(sql) {
    const client = new pg.Client({ connectionString: database });
    await client.connect();
    const result = await client.query(sql);
    await client.end();
    return result.rows;
}

const slices = (n, size) => Array.from({ length: Math.ceil(n / size) }, (_, i) => Math.min(size, n - i * size));

const peers = {
    // BullMQ on PostgreSQL: finish and fetch share a commit; concurrency as in its own benchmark's upper range.
    async 'bullmq-pg'() {
        const { withBackend, createPostgresBackend } = await import('bullmq');
        return bullmq(withBackend(createPostgresBackend), { connectionString: database, max: 10, migrate: true }, 32);
    },
    async 'bullmq-redis'() {
        const { Queue, Worker } = await import('bullmq');
        const url = new URL(process.env.REDIS_URL);
        const connection = { host: url.hostname, port: Number(url.port), password: url.password, maxRetriesPerRequest: null };
        return bullmq({ Queue, Worker }, connection, 100);
    },
    async graphile() { return graphile({}); },
    // As in graphile's own performance test: a local queue and batched ends. Jobs are deleted, no history is kept.
    async 'graphile-batched'() {
        return graphile({ worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } });
    },
    // fetch and complete in a loop, 100 at a time: what pg-boss can do without the pauses of its own polling.
    async 'pg-boss'() {
        const { default: PgBoss } = await import('pg-boss');
        const boss = new PgBoss({ connectionString: database, supervise: false, schedule: false });
        await boss.start();
        await boss.createQueue('noop');
        for (const n of slices(count, 1000)) await boss.insert(Array.from({ length: n }, () => ({ name: 'noop', data: payload })));
        const loop = async () => {
            for (;;) {
                const jobs = await boss.fetch('noop', { batchSize: 100 });
                if (jobs.length === 0) return;
                for (const job of jobs) enter(job.id);
                await boss.complete('noop', jobs.map((job) => job.id));
                end(jobs.length);
            }
        };
        await Promise.all([loop(), loop()]);
        const last = await all;
        const stored = await query("SELECT count(*)::int AS n FROM pgboss.job WHERE name = 'noop' AND state = 'completed'");
        await boss.stop({ graceful: false });
        return { last, stored: stored[0].n };
    },
};

async function bullmq({ Queue, Worker }, connection, concurrency) {
    const name = `noop${process.pid}`;
    const queue = new Queue(name, { connection });
    for (const n of slices(count, 1000)) await queue.addBulk(Array.from({ length: n }, () => ({ name: 'noop', data: payload })));
    const worker = new Worker(name, async (job) => { enter(job.id); }, { connection, concurrency });
    worker.on('completed', () => end());
    worker.on('error', (error) => { console.error(error); process.exit(1); });
    const last = await all;
    const counts = await queue.getJobCounts('completed');
    await worker.close();
    await queue.obliterate({ force: true }).catch(() => {});
    await queue.close();
    return { last, stored: counts.completed };
}

async function graphile(preset) {
    const { run, makeWorkerUtils, Logger } = await import('graphile-worker');
    const logger = new Logger(() => (level, message) => { if (level === 'error') console.error(message); });
    const utils = await makeWorkerUtils({ connectionString: database, logger });
    await utils.migrate();
    for (const n of slices(count, 1000)) {
        await utils.addJobs(Array.from({ length: n }, () => ({ identifier: 'noop', payload })));
    }
    const { EventEmitter } = await import('node:events');
    const events = new EventEmitter();
    events.setMaxListeners(0);
    events.on('job:complete', () => end());
    const runner = await run({
        preset: { worker: { concurrentJobs: 24, maxPoolSize: 10, ...preset.worker } },
        connectionString: database, logger, events, noHandleSignals: true,
        taskList: { noop: async (_, helpers) => { enter(helpers.job.id); } },
    });
    await all;
    // 'job:complete' comes before a batched end is stored: wait until the table is empty.
    let left = count;
    while (left > 0) left = (await query('SELECT count(*)::int AS n FROM graphile_worker._private_jobs'))[0].n;
    const last = performance.now();
    await runner.stop();
    await utils.release();
    return { last, stored: count - left };
}

if (!peers[peer] || !(count > 0)) {
    console.error(`usage: drain.mjs ${Object.keys(peers).join('|')} COUNT`);
    process.exit(2);
}
const { last, stored } = await peers[peer]();
console.log(JSON.stringify({ peer, jobs: count, seconds: (last - first) / 1000, entries, different: ids.size, stored }));
process.exit(0);
