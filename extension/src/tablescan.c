/*-------------------------------------------------------------------------
 *
 * tablescan.c
 *		A scan over heap tables that hashes every visible row itself.
 *
 * The executor costs more per row than hashing does, and it touches rows one
 * at a time, each a cache miss.  Here a page is taken as a whole: under the
 * share lock the visible tuples are listed (on an all-visible page without
 * looking at them), then, holding only the pin, they are hashed while the
 * memory of those further on is being fetched.
 *
 * What a sequential scan guarantees holds here too.  The caller has the
 * relations open and locked; visibility is decided by the active snapshot;
 * under SERIALIZABLE the relation is predicate-locked and each tuple is checked
 * for conflicts; a tuple cannot move while its page is pinned.  Nothing is
 * written but hint bits.
 *
 * Workers take blocks from a shared counter per relation.  Each makes its own
 * plans; sums and sketch cells are added up at the end.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/tablescan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/parallel.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "errors.h"
#include "progress.h"
#include "tablescan.h"

#define CACHE_LINE 64

/* Of a page to come, as much is asked for of its header and line pointers. */
#define HEADER_BYTES 256

/* Most blocks a worker takes at a time. */
#define MAX_CHUNK 64

/* Keys of the shared memory table of contents. */
#define SHM_KEY_JOB     UINT64CONST(0x7570670000000001)
#define SHM_KEY_NAMES   UINT64CONST(0x7570670000000002)
#define SHM_KEY_RESULTS UINT64CONST(0x7570670000000003)

/* One relation of the job, as all participants see it. */
typedef struct SharedMember
{
	Oid relid;
	BlockNumber nblocks;
	pg_atomic_uint64 next; /* block to be taken next */
} SharedMember;

typedef struct SharedJob
{
	UpgCanonicalMode mode;
	uint64 seed;
	int ncolumns;
	int nkeys;
	int ncells; /* of each participant's sketch, or 0 */
	uint32 bucket;
	uint32 buckets;
	Size result_size;
	int participants; /* that were asked for, the leader included */
	int nmembers;
	SharedMember members[FLEXIBLE_ARRAY_MEMBER];
} SharedJob;

/* What one participant found; the cells follow. */
typedef struct SharedResult
{
	UpgChecksum total;
} SharedResult;

/* Room for a result with its cells, wherever the line begins that they begin on. */
static Size
result_size(int ncells)
{
	return MAXALIGN(sizeof(SharedResult) + UPG_SKETCH_LINE +
					sizeof(UpgSketchCell) * ncells);
}

static UpgSketchCell *
result_cells(SharedResult *result)
{
	return (UpgSketchCell *) TYPEALIGN(UPG_SKETCH_LINE, result + 1);
}

/* A participant's state while scanning. */
typedef struct ScanState
{
	const UpgScanJob *job;
	Snapshot snapshot;
	UpgChecksum *total;
	UpgSketch *sketch;
	UpgSketchQueue queue; /* on the way into the sketch */
	UpgScanRowFunc func;
	void *arg;
	uint64 blocks; /* of the members that are done; for the progress shown */
	/* for the error context */
	Relation rel;
	BlockNumber block;
	OffsetNumber offset;
} ScanState;

extern PGDLLEXPORT void upg_scan_worker_main(dsm_segment *seg, shm_toc *toc);

static void
scan_error_context(void *arg)
{
	ScanState *state = arg;

	if (state->rel && state->offset != InvalidOffsetNumber)
		errcontext("reading row (%u,%u) of relation \"%s\"", state->block, state->offset,
				   RelationGetRelationName(state->rel));
}

/*
 * upg_list_visible
 *		List the tuples of a page that the snapshot sees; returns their number.
 *
 * The buffer is pinned on return, and not locked.
 */
int
upg_list_visible(Snapshot snapshot, Relation rel, Buffer buffer, OffsetNumber *offsets)
{
	BlockNumber block = BufferGetBlockNumber(buffer);
	bool conflicts = CheckForSerializableConflictOutNeeded(rel, snapshot);
	Page page;
	OffsetNumber last;
	bool all_visible;
	int n = 0;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	upg_test_for_old_snapshot(snapshot, rel, page);
	last = PageGetMaxOffsetNumber(page);

	/* the flag may be ahead of what a standby's snapshot sees, so there it does not count */
	all_visible = PageIsAllVisible(page) && !snapshot->takenDuringRecovery;

	if (all_visible && !conflicts)
	{
		for (OffsetNumber off = FirstOffsetNumber; off <= last; off++)
			if (ItemIdIsNormal(PageGetItemId(page, off)))
				offsets[n++] = off;
	}
	else
	{
		for (OffsetNumber off = FirstOffsetNumber; off <= last; off++)
		{
			ItemId item = PageGetItemId(page, off);
			HeapTupleData tuple;
			bool visible;

			if (!ItemIdIsNormal(item))
				continue;
			tuple.t_tableOid = RelationGetRelid(rel);
			tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
			tuple.t_len = ItemIdGetLength(item);
			ItemPointerSet(&tuple.t_self, block, off);
			visible =
				all_visible || HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer);
			if (conflicts)
				HeapCheckForSerializableConflictOut(visible, rel, &tuple, buffer,
													snapshot);
			if (visible)
				offsets[n++] = off;
		}
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return n;
}

/*
 * row_key
 *		The key of a row that has just been hashed.
 *
 * A number at a fixed place, the most common key of all, is read from there.
 */
static inline UpgSum
row_key(UpgScanPlan *plan, HeapTupleHeader tuple, UpgSum hash)
{
	UpgSum key = {0, 0};

	if (plan->key_offset >= 0 && !(tuple->t_infomask & HEAP_HASNULL) &&
		HeapTupleHeaderGetNatts(tuple) > plan->key_position)
	{
		const char *value = (const char *) tuple + tuple->t_hoff + plan->key_offset;

		if (plan->key_width == 4)
		{
			uint32 v;

			memcpy(&v, value, 4);
			key.lo = v;
		}
		else
			memcpy(&key.lo, value, 8);
		return key;
	}
	if (plan->row->fixed)
		upg_row_walk(plan->row, tuple);
	return upg_scan_key(plan, hash);
}

/*
 * visit_row
 *		Do with one row what is to be done beside adding up.
 */
static pg_noinline void
visit_row(ScanState *state, UpgScanPlan *plan, UpgSum hash, HeapTupleHeader data,
		  Size length)
{
	HeapTupleData tuple;

	tuple.t_data = data;
	tuple.t_len = (uint32) length;
	tuple.t_tableOid = RelationGetRelid(state->rel);
	ItemPointerSet(&tuple.t_self, state->block, state->offset);
	upg_row_walk(plan->row, data);
	state->func(state->arg, plan, hash, &tuple);
}

/*
 * scan_page
 *		Hash the visible rows of one page.
 *
 * With each row as much of the memory of "next", the page to come, is asked for
 * as the row takes, from the end of the page on, where the first rows lie.  So
 * memory is fetched in a steady stream, a page ahead of where it is needed.
 */
static void
scan_page(ScanState *state, UpgScanPlan *plan, Relation rel, Buffer buffer, Buffer next)
{
	OffsetNumber offsets[MaxHeapTuplesPerPage];
	int n = upg_list_visible(state->snapshot, rel, buffer, offsets);
	Page page = BufferGetPage(buffer);
	UpgSketch *sketch = state->sketch;
	UpgSum sum = {0, 0};
	int64 rows = 0;
	const char *next_page = BufferIsValid(next) ? BufferGetPage(next) : NULL;
	int asked = BLCKSZ; /* for what lies from here on */
	int wanted = BLCKSZ;

	for (int i = 0; i < n; i++)
	{
		ItemId item = PageGetItemId(page, offsets[i]);
		HeapTupleHeader tuple = (HeapTupleHeader) PageGetItem(page, item);
		Size length = ItemIdGetLength(item);
		UpgSum hash;

		if (next_page)
		{
			for (wanted -= (int) length; asked > wanted && asked > 0; asked -= CACHE_LINE)
				__builtin_prefetch(next_page + asked - CACHE_LINE);
		}

		state->offset = offsets[i];
		hash = upg_row_hash(plan->row, tuple);
		if (sketch)
		{
			UpgSum key = row_key(plan, tuple, hash);

			if (sketch->buckets > 1 &&
				upg_sketch_bucket(key, sketch->seed, sketch->buckets) != sketch->bucket)
				continue;
			upg_sketch_add(&state->queue, key, hash);
		}
		upg_sum_add(&sum, hash);
		rows++;
		if (state->func)
			visit_row(state, plan, hash, tuple, length);
	}
	state->offset = InvalidOffsetNumber;
	upg_sum_add(&state->total->sum, sum);
	state->total->rows += rows;
}

/* Reads the blocks of a relation, one page ahead. */
typedef struct PageReader
{
	Relation rel;
	BufferAccessStrategy strategy;
	Buffer last;
	bool in_row; /* the last block lay in the buffer after that of its predecessor */
} PageReader;

/*
 * read_page
 *		Pin a block and ask for the beginning of its page, which holds the line
 *		pointers.
 *
 * Blocks that were read in one go lie in buffers that follow one another.  As
 * long as that is so the next buffer is tried first, which saves finding it.
 */
static Buffer
read_page(PageReader *reader, BlockNumber block)
{
	Relation rel = reader->rel;
	Buffer buffer = reader->last + 1;
	const char *page;

	if (reader->in_row && buffer <= NBuffers &&
		ReadRecentBuffer(UPG_REL_LOCATOR(rel), MAIN_FORKNUM, block, buffer))
	{
		pgstat_count_buffer_read(rel);
		pgstat_count_buffer_hit(rel);
	}
	else
	{
		buffer =
			ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, reader->strategy);
		reader->in_row = buffer > 0 && buffer == reader->last + 1;
	}
	reader->last = buffer;

	page = (const char *) BufferGetPage(buffer);
	for (int i = 0; i < HEADER_BYTES; i += CACHE_LINE)
		__builtin_prefetch(page + i);
	return buffer;
}

/*
 * scan_member
 *		Hash the blocks of one relation that this participant gets hold of.
 */
static void
scan_member(ScanState *state, SharedMember *member, int chunk)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "upg table scan",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Relation rel = table_open(member->relid, AccessShareLock);
	PageReader reader = {0};
	ErrorContextCallback callback;
	UpgScanPlan *plan;
	UpgChecksumHeader header;

	plan = upg_scan_plan(state->job, RelationGetDescr(rel));
	header = upg_checksum_header(plan->canon, plan->row);
	if (!state->total->header.known)
		state->total->header = header;
	else if (state->total->header.signature != header.signature)
		elog(ERROR, "columns of relation \"%s\" differ from those of its parent",
			 RelationGetRelationName(rel));
	if (state->sketch)
	{
		state->sketch->key_form = plan->key_form;
		state->sketch->key_signature = plan->key ? plan->key->signature : 0;
		upg_sketch_begin(&state->queue, state->sketch);
	}

	/* a scan much larger than the cache must not sweep it empty */
	if (!RelationUsesLocalBuffers(rel) && member->nblocks > NBuffers / 4)
		reader.strategy = GetAccessStrategy(BAS_BULKREAD);
	reader.rel = rel;

	state->rel = rel;
	state->offset = InvalidOffsetNumber;
	callback.callback = scan_error_context;
	callback.arg = state;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	PredicateLockRelation(rel, state->snapshot);
	for (;;)
	{
		uint64 first = pg_atomic_fetch_add_u64(&member->next, chunk);
		uint64 last;
		Buffer next;

		if (first >= member->nblocks)
			break;
		last = Min(first + chunk, member->nblocks) - 1;
		upg_progress_update(state->blocks + first);
		next = read_page(&reader, (BlockNumber) first);
		for (uint64 block = first; block <= last; block++)
		{
			Buffer buffer = next;

			CHECK_FOR_INTERRUPTS();
			state->block = (BlockNumber) block;
			next = InvalidBuffer;
			if (block < last)
				next = read_page(&reader, (BlockNumber) block + 1);
			scan_page(state, plan, rel, buffer, next);
			ReleaseBuffer(buffer);
		}
	}

	if (state->sketch)
		upg_sketch_end(&state->queue);
	error_context_stack = callback.previous;
	state->rel = NULL;
	if (reader.strategy)
		FreeAccessStrategy(reader.strategy);
	table_close(rel, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* Blocks to take at a time: enough turns for all, so that none waits long. */
static int
chunk_size(BlockNumber nblocks, int participants)
{
	if (participants <= 1)
		return MAX_CHUNK;
	return (int) Max(1, Min(MAX_CHUNK, nblocks / (participants * 8)));
}

static void
scan_members(ScanState *state, SharedJob *shared, int participants)
{
	for (int i = 0; i < shared->nmembers; i++)
	{
		scan_member(state, &shared->members[i],
					chunk_size(shared->members[i].nblocks, participants));
		state->blocks += shared->members[i].nblocks;
	}
}

/*
 * upg_scan_worker_main
 *		Entry point of parallel workers.
 */
void
upg_scan_worker_main(dsm_segment *seg, shm_toc *toc)
{
	SharedJob *shared = shm_toc_lookup(toc, SHM_KEY_JOB, false);
	const char *names = shm_toc_lookup(toc, SHM_KEY_NAMES, false);
	char *results = shm_toc_lookup(toc, SHM_KEY_RESULTS, false);
	SharedResult *result =
		(SharedResult *) (results + shared->result_size * ParallelWorkerNumber);
	UpgScanJob job;
	UpgSketch sketch;
	ScanState state;

	memset(&job, 0, sizeof(job));
	job.mode = shared->mode;
	job.seed = shared->seed;
	job.ncolumns = shared->ncolumns;
	job.columns = palloc0(sizeof(UpgScanColumn) * Max(job.ncolumns, 1));
	for (int i = 0; i < job.ncolumns; i++)
	{
		job.columns[i].attname = names;
		names += strlen(names) + 1;
		job.columns[i].name = names;
		names += strlen(names) + 1;
	}
	job.nkeys = shared->nkeys;
	job.keys = palloc0(sizeof(int) * Max(job.nkeys, 1));
	for (int i = 0; i < job.nkeys; i++)
	{
		memcpy(&job.keys[i], names, sizeof(int));
		names += sizeof(int);
	}

	memset(&state, 0, sizeof(state));
	state.job = &job;
	state.snapshot = GetActiveSnapshot();
	state.total = &result->total;
	if (shared->ncells > 0)
	{
		memset(&sketch, 0, sizeof(sketch));
		sketch.seed = job.seed;
		sketch.ncells = shared->ncells;
		sketch.bucket = shared->bucket;
		sketch.buckets = shared->buckets;
		sketch.cells = result_cells(result);
		state.sketch = &sketch;
	}
	scan_members(&state, shared, shared->participants);
}

/* Length of the names of a job, as they are passed to workers. */
static Size
names_size(const UpgScanJob *job)
{
	Size size = 1;

	for (int i = 0; i < job->ncolumns; i++)
		size += strlen(job->columns[i].attname) + strlen(job->columns[i].name) + 2;
	return add_size(size, mul_size(sizeof(int), job->nkeys));
}

/* Copy a string with its end; returns where the next one goes. */
static char *
put_name(char *out, const char *name)
{
	size_t size = strlen(name) + 1;

	memcpy(out, name, size);
	return out + size;
}

static void
write_names(const UpgScanJob *job, char *out)
{
	for (int i = 0; i < job->ncolumns; i++)
	{
		out = put_name(out, job->columns[i].attname);
		out = put_name(out, job->columns[i].name);
	}
	for (int i = 0; i < job->nkeys; i++)
	{
		memcpy(out, &job->keys[i], sizeof(int));
		out += sizeof(int);
	}
}

/*
 * fill_job
 *		Describe the job and its members for all participants.
 */
static void
fill_job(SharedJob *shared, const UpgScanJob *job, List *members, const UpgSketch *sketch)
{
	int i = 0;
	ListCell *lc;

	shared->mode = job->mode;
	shared->seed = job->seed;
	shared->ncolumns = job->ncolumns;
	shared->nkeys = job->nkeys;
	shared->ncells = sketch ? sketch->ncells : 0;
	shared->bucket = sketch ? sketch->bucket : 0;
	shared->buckets = sketch ? sketch->buckets : 1;
	shared->result_size = result_size(shared->ncells);
	shared->nmembers = list_length(members);
	foreach (lc, members)
	{
		Relation rel = table_open(lfirst_oid(lc), NoLock);
		SharedMember *member = &shared->members[i++];

		member->relid = RelationGetRelid(rel);
		member->nblocks = RelationGetNumberOfBlocks(rel);
		pg_atomic_init_u64(&member->next, 0);
		table_close(rel, NoLock);
	}
}

/*
 * choose_workers
 *		How many workers the members are worth; "wanted" below zero leaves it
 *		to the settings that the planner goes by.
 *
 * Local buffers cannot be read by other processes, and a type may say that its
 * send function cannot run in one.
 */
static int
choose_workers(const UpgScanJob *job, List *members, int wanted)
{
	double pages = 0;
	double threshold = Max(min_parallel_table_scan_size, 1);
	int workers = 1;
	ListCell *lc;

	if (wanted == 0 || IsInParallelMode() || !IsUnderPostmaster)
		return 0;
	foreach (lc, members)
	{
		Relation rel = table_open(lfirst_oid(lc), NoLock);
		bool local = RelationUsesLocalBuffers(rel);
		UpgScanPlan *plan = upg_scan_plan(job, RelationGetDescr(rel));

		pages += RelationGetNumberOfBlocks(rel);
		table_close(rel, NoLock);
		if (local || plan->canon->leader_only)
			return 0;
	}
	if (wanted > 0)
		return Min(wanted, max_parallel_workers);
	if (pages < min_parallel_table_scan_size || max_parallel_workers_per_gather == 0)
		return 0;

	/* one more worker each time the size triples, as the planner has it */
	while (pages >= threshold * 3)
	{
		workers++;
		threshold *= 3;
	}
	return Min(workers, max_parallel_workers_per_gather);
}

/*
 * scan_parallel
 *		Scan with workers and add up what they found.
 */
static void
scan_parallel(ScanState *state, List *members, int workers)
{
	const UpgScanJob *job = state->job;
	ParallelContext *pcxt;
	Size job_size =
		offsetof(SharedJob, members) + sizeof(SharedMember) * list_length(members);
	Size size = result_size(state->sketch ? state->sketch->ncells : 0);
	SharedJob *shared;
	char *names;
	char *results;

	EnterParallelMode();
	pcxt = CreateParallelContext("$libdir/upg", "upg_scan_worker_main", workers);
	shm_toc_estimate_chunk(&pcxt->estimator, job_size);
	shm_toc_estimate_chunk(&pcxt->estimator, names_size(job));
	shm_toc_estimate_chunk(&pcxt->estimator, mul_size(size, workers));
	shm_toc_estimate_keys(&pcxt->estimator, 3);
	InitializeParallelDSM(pcxt);

	shared = shm_toc_allocate(pcxt->toc, job_size);
	fill_job(shared, job, members, state->sketch);
	shared->participants = workers + 1;
	shm_toc_insert(pcxt->toc, SHM_KEY_JOB, shared);
	names = shm_toc_allocate(pcxt->toc, names_size(job));
	write_names(job, names);
	shm_toc_insert(pcxt->toc, SHM_KEY_NAMES, names);
	results = shm_toc_allocate(pcxt->toc, mul_size(size, workers));
	memset(results, 0, size * workers);
	shm_toc_insert(pcxt->toc, SHM_KEY_RESULTS, results);

	LaunchParallelWorkers(pcxt);
	if (parallel_leader_participation || pcxt->nworkers_launched == 0)
		scan_members(state, shared, shared->participants);
	WaitForParallelWorkersToFinish(pcxt);

	/* a worker that was asked for but never ran left a slot of zeros */
	for (int i = 0; i < pcxt->nworkers_launched; i++)
	{
		SharedResult *result = (SharedResult *) (results + size * i);

		upg_checksum_merge_into(state->total, &result->total);
		if (state->sketch)
			upg_sketch_merge_cells(state->sketch, result_cells(result));
	}
	DestroyParallelContext(pcxt);
	ExitParallelMode();
}

/*
 * set_headers
 *		Give the results their header even if no participant of this process
 *		saw the relation.
 */
static void
set_headers(ScanState *state, List *members)
{
	Relation rel = table_open(linitial_oid(members), NoLock);
	UpgScanPlan *plan = upg_scan_plan(state->job, RelationGetDescr(rel));

	state->total->header = upg_checksum_header(plan->canon, plan->row);
	if (state->sketch)
	{
		state->sketch->key_form = plan->key_form;
		state->sketch->key_signature = plan->key ? plan->key->signature : 0;
	}
	table_close(rel, NoLock);
}

/* How many blocks there are to be read. */
static uint64
count_blocks(List *members)
{
	uint64 blocks = 0;
	ListCell *lc;

	foreach (lc, members)
	{
		Relation rel = table_open(lfirst_oid(lc), NoLock);

		blocks += RelationGetNumberOfBlocks(rel);
		table_close(rel, NoLock);
	}
	return blocks;
}

/*
 * upg_scan_heap
 *		Hash all rows of "members" that the active snapshot sees.
 *
 * "members" are heap tables that are locked already, at least one.  Rows are
 * added to *total, to the sketch if there is one, and handed to "func" if there
 * is one; with "func" no workers are used.  "workers" below zero lets the
 * server's settings decide.
 */
void
upg_scan_heap(const UpgScanJob *job, List *members, int workers, UpgChecksum *total,
			  UpgSketch *sketch, UpgScanRowFunc func, void *arg)
{
	ScanState state;

	memset(&state, 0, sizeof(state));
	state.job = job;
	state.snapshot = GetActiveSnapshot();
	state.total = total;
	state.sketch = sketch;
	state.func = func;
	state.arg = arg;
	set_headers(&state, members);

	upg_progress_start(linitial_oid(members), count_blocks(members));
	workers = func ? 0 : choose_workers(job, members, workers);
	if (workers > 0)
		scan_parallel(&state, members, workers);
	else
	{
		SharedJob *shared = palloc0(offsetof(SharedJob, members) +
									sizeof(SharedMember) * list_length(members));

		fill_job(shared, job, members, sketch);
		scan_members(&state, shared, 1);
		pfree(shared);
	}
	upg_progress_end();
}
