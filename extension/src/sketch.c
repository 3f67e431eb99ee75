/*-------------------------------------------------------------------------
 *
 * sketch.c
 *		Taking the difference of two sets out of their sketches.
 *
 * A sketch is an invertible Bloom lookup table.  Each element of a set is added
 * into three cells, chosen by its hash.  Subtracting the sketch of another set
 * cell by cell leaves only the elements that are not in both.  A cell into
 * which a single one of these has fallen shows it; taking that element out of
 * its two other cells uncovers more, until all are found, or, when there are
 * too many, cells remain that hold several.  These are counted, so that a
 * difference is never left out silently.
 *
 * Sums are kept in lanes modulo 2^64.  An element that one set has c times more
 * often than the other leaves c times its lanes; multiplying by the inverse of
 * c gives it back.  Only odd numbers have one: of an even c the highest bits of
 * each lane are lost, and are found by trying, if they are few.  The check
 * field decides what is an element and what a coincidence.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/sketch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "errors.h"
#include "sketch.h"

/*
 * Adding is compiled a second time for AVX2, where a cell takes fewer
 * instructions; the loader chooses.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define BOTH_VECTORS __attribute__((target_clones("avx2", "default")))
#else
#define BOTH_VECTORS
#endif

/* Begins every stored sketch; the digit is the version of the layout. */
#define SKETCH_MAGIC "UPGSK1\n"

/* Bytes of a stored header and of a stored cell. */
#define SKETCH_HEADER_SIZE 96
#define SKETCH_CELL_SIZE   40

/* Most bits of an element that are found by trying. */
#define MAX_LOST_BITS 16

/*
 * upg_sketch_round_cells
 *		The nearest number of cells, at least this many, that a sketch can have.
 */
int
upg_sketch_round_cells(int64 cells)
{
	cells = Max(cells, UPG_SKETCH_MIN_CELLS);
	cells = (cells + 2) / 3 * 3;
	return (int) Min(cells, UPG_SKETCH_MAX_CELLS);
}

/* Cells that begin on a line; *room is what to free. */
static UpgSketchCell *
alloc_cells(int ncells, void **room)
{
	*room = MemoryContextAllocHuge(CurrentMemoryContext,
								   sizeof(UpgSketchCell) * ncells + UPG_SKETCH_LINE - 1);
	return (UpgSketchCell *) TYPEALIGN(UPG_SKETCH_LINE, *room);
}

/*
 * upg_sketch_free
 *		Give the memory of a sketch back before that of its context goes.
 */
void
upg_sketch_free(UpgSketch *sketch)
{
	pfree(sketch->room);
	pfree(sketch);
}

/*
 * upg_sketch_create
 *		An empty sketch, in CurrentMemoryContext.
 */
UpgSketch *
upg_sketch_create(int ncells, uint64 seed)
{
	UpgSketch *sketch = palloc0(sizeof(UpgSketch));

	sketch->ncells = upg_sketch_round_cells(ncells);
	sketch->seed = seed;
	sketch->buckets = 1;
	sketch->cells = alloc_cells(sketch->ncells, &sketch->room);
	memset(sketch->cells, 0, sizeof(UpgSketchCell) * sketch->ncells);
	return sketch;
}

/*
 * Add to the sums of a cell, several at once; compilers make of it what the
 * processor has.
 */
#if defined(__GNUC__)
typedef uint64 Lanes __attribute__((vector_size(32), aligned(8), may_alias));
typedef uint32 Counts __attribute__((vector_size(8), aligned(8), may_alias));

#define ADD_TO_CELL(cell, element_lanes, element_counts) \
	(*(Lanes *) (cell)->lanes += (element_lanes),        \
	 *(Counts *) &(cell)->count += (element_counts))
#endif

static inline void
write_queued(const UpgQueuedElement *queued)
{
#if defined(__GNUC__)
	Lanes lanes = *(const Lanes *) &queued->element;
	Counts counts = *(const Counts *) &queued->count;
	UpgSketchCell *second = queued->second;
	UpgSketchCell *third = queued->third;

	ADD_TO_CELL(queued->first, lanes, counts);
	ADD_TO_CELL(second, lanes, counts);
	ADD_TO_CELL(third, lanes, counts);
#else
	UpgSketchCell *const cells[3] = {queued->first, queued->second, queued->third};

	for (int i = 0; i < 3; i++)
	{
		cells[i]->lanes[0] += queued->element.key.lo;
		cells[i]->lanes[1] += queued->element.key.hi;
		cells[i]->lanes[2] += queued->element.hash.lo;
		cells[i]->lanes[3] += queued->element.hash.hi;
		cells[i]->count++;
		cells[i]->check += queued->check;
	}
#endif
}

/*
 * upg_sketch_begin
 *		Begin to add elements to a sketch.
 */
void
upg_sketch_begin(UpgSketchQueue *queue, UpgSketch *sketch)
{
	memset(queue, 0, sizeof(UpgSketchQueue));
	queue->part = (uint32) sketch->ncells / 3;
	queue->cells = sketch->cells;
	for (int i = 0; i < UPG_SKETCH_QUEUE; i++)
	{
		queue->elements[i].first = queue->elements[i].second = queue->elements[i].third =
			&queue->nothing;
		queue->elements[i].count = 1;
	}
}

/*
 * upg_sketch_add
 *		Add an element; it is in the sketch after upg_sketch_end() at the latest.
 */
BOTH_VECTORS void
upg_sketch_add(UpgSketchQueue *queue, UpgSum key, UpgSum hash)
{
	uint32 next = queue->next;
	UpgQueuedElement *queued = &queue->elements[next];
	UpgSketchPlace place = upg_sketch_place(hash, queue->part);

	queue->next = (next + 1) % UPG_SKETCH_QUEUE;
	write_queued(queued);
	queued->element.key = key;
	queued->element.hash = hash;
	queued->check = place.check;
	queued->first = queue->cells + place.cell[0];
	queued->second = queue->cells + place.cell[1];
	queued->third = queue->cells + place.cell[2];
	__builtin_prefetch(queued->first, 1);
	__builtin_prefetch(queued->second, 1);
	__builtin_prefetch(queued->third, 1);
}

/*
 * upg_sketch_end
 *		Write what is still on its way.
 */
void
upg_sketch_end(UpgSketchQueue *queue)
{
	for (int i = 0; i < UPG_SKETCH_QUEUE; i++)
	{
		write_queued(&queue->elements[i]);
		queue->elements[i].first = queue->elements[i].second = queue->elements[i].third =
			&queue->nothing;
	}
}

static inline void
add_cell(UpgSketchCell *cell, const UpgSketchCell *other)
{
	for (int k = 0; k < 4; k++)
		cell->lanes[k] += other->lanes[k];
	cell->count += other->count;
	cell->check += other->check;
}

/*
 * upg_sketch_merge_cells
 *		Add the cells that another participant filled.
 */
void
upg_sketch_merge_cells(UpgSketch *sketch, const UpgSketchCell *cells)
{
	for (int i = 0; i < sketch->ncells; i++)
		add_cell(&sketch->cells[i], &cells[i]);
}

/*
 * upg_sketch_conflict
 *		Why two sketches cannot be compared, as a sentence; NULL if they can.
 */
const char *
upg_sketch_conflict(const UpgSketch *a, const UpgSketch *b)
{
	const char *why = upg_checksum_header_conflict(&a->total.header, &b->total.header);

	if (why)
		return why;
	if (a->key_form != b->key_form || a->key_signature != b->key_signature)
		return "The columns of their keys differ in name or type.";
	if (a->ncells != b->ncells)
		return "They have different numbers of cells.";
	if (a->seed != b->seed)
		return "They were made with different seeds.";
	if (a->bucket != b->bucket || a->buckets != b->buckets)
		return "They cover different parts of their sets.";
	return NULL;
}

/* Inverse of an odd number modulo 2^64. */
static uint64
inverse(uint64 odd)
{
	uint64 x = odd;

	for (int i = 0; i < 5; i++)
		x *= 2 - odd * x;
	return x;
}

/*
 * is_element
 *		Whether "count" copies of this element are what cell "index" holds.
 */
static bool
is_element(UpgSum hash, int ncells, int index, uint32 count, uint32 check,
		   UpgSketchPlace *place)
{
	*place = upg_sketch_place(hash, (uint32) ncells / 3);
	return place->cell[index / (ncells / 3)] == (uint32) index &&
		   place->check * count == check;
}

/*
 * decode_cell
 *		Read the only element of a cell; false if it holds several.
 */
static bool
decode_cell(const UpgSketchCell *cell, const UpgSketch *sketch, int index,
			UpgDifference *item, UpgSketchPlace *place)
{
	int64 count = (int32) cell->count;
	uint64 lanes[4];
	uint64 inv;
	int zeros = 0;
	int nlanes = sketch->key_form == UPG_KEY_NONE ? 2 : 4;

	if (count == 0)
		return false;
	while ((((uint64) count >> zeros) & 1) == 0)
		zeros++;
	if (zeros * nlanes > MAX_LOST_BITS)
		return false;
	inv = inverse((uint64) (count >> zeros));
	for (int k = 0; k < 4; k++)
	{
		if (zeros > 0 && (cell->lanes[k] & ((UINT64CONST(1) << zeros) - 1)) != 0)
			return false;
		lanes[k] = (zeros > 0 ? cell->lanes[k] >> zeros : cell->lanes[k]) * inv;
		if (zeros > 0)
			lanes[k] &= ~UINT64CONST(0) >> zeros;
	}

	item->copies = (int32) count;
	for (uint32 guess = 0; guess < (1U << (zeros * nlanes)); guess++)
	{
		uint64 full[4];

		for (int k = 0; k < 4; k++)
		{
			/* without a key its lanes repeat those of the hash */
			uint64 high =
				zeros == 0 ? 0 : (guess >> (zeros * (k % nlanes))) & ((1U << zeros) - 1);

			full[k] = zeros == 0 ? lanes[k] : lanes[k] | (high << (64 - zeros));
		}
		item->element.key.lo = full[0];
		item->element.key.hi = full[1];
		item->element.hash.lo = full[2];
		item->element.hash.hi = full[3];
		if (is_element(item->element.hash, sketch->ncells, index, cell->count,
					   cell->check, place))
			return true;
	}
	return false;
}

static void
take_out(UpgSketchCell *cell, const UpgDifference *item, uint32 check)
{
	uint64 copies = (uint64) (int64) item->copies;

	cell->lanes[0] -= item->element.key.lo * copies;
	cell->lanes[1] -= item->element.key.hi * copies;
	cell->lanes[2] -= item->element.hash.lo * copies;
	cell->lanes[3] -= item->element.hash.hi * copies;
	cell->count -= (uint32) item->copies;
	cell->check -= check * (uint32) item->copies;
}

/*
 * estimate_difference
 *		About how many elements differ, from the spread of the cells' counts.
 *
 * Each element adds one or takes one away in a random cell of each part, so
 * the counts vary by the number of elements per cell.
 */
static double
estimate_difference(const UpgSketchCell *cells, int ncells)
{
	int part = ncells / 3;
	double estimate = 0;

	for (int p = 0; p < 3; p++)
	{
		double mean = 0, square = 0;

		for (int i = p * part; i < (p + 1) * part; i++)
			mean += (int32) cells[i].count;
		mean /= part;
		for (int i = p * part; i < (p + 1) * part; i++)
		{
			double d = (int32) cells[i].count - mean;

			square += d * d;
		}
		estimate += Max(square, fabs(mean) * part);
	}
	return estimate / 3;
}

/*
 * take_apart
 *		The elements that are in "cells", which are a difference of sketches that
 *		are laid out as "sketch".
 */
static UpgSketchDiff *
take_apart(UpgSketchCell *cells, const UpgSketch *sketch)
{
	UpgSketchDiff *diff = palloc0(sizeof(UpgSketchDiff));
	int n = sketch->ncells;
	int *queue = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * n * 4);
	int nqueue = 0;
	int size = 256;

	for (int i = 0; i < n; i++)
		if (!upg_sketch_cell_is_empty(&cells[i]))
			queue[nqueue++] = i;
	diff->cells = cells;
	diff->estimate = estimate_difference(cells, n);
	diff->items = palloc(sizeof(UpgDifference) * size);

	while (nqueue > 0)
	{
		int index = queue[--nqueue];
		UpgDifference item;
		UpgSketchPlace place;

		if ((nqueue & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		if (upg_sketch_cell_is_empty(&cells[index]) ||
			!decode_cell(&cells[index], sketch, index, &item, &place))
			continue;
		/* more elements than cells: coincidences are being taken for elements */
		if (diff->nitems >= n)
			break;
		for (int p = 0; p < 3; p++)
		{
			take_out(&cells[place.cell[p]], &item, place.check);
			if ((int) place.cell[p] != index && nqueue < n * 4)
				queue[nqueue++] = (int) place.cell[p];
		}
		if (diff->nitems == size)
		{
			size *= 2;
			diff->items = repalloc_huge(diff->items, sizeof(UpgDifference) * size);
		}
		diff->items[diff->nitems++] = item;
	}
	pfree(queue);

	for (int i = 0; i < n; i++)
		if (!upg_sketch_cell_is_empty(&cells[i]))
			diff->left++;
	if (diff->left == 0)
		diff->estimate = diff->nitems;
	return diff;
}

/*
 * upg_sketch_subtract
 *		The elements in which two sets differ.
 *
 * The sketches must be comparable.  If result->left is not zero, some elements
 * are missing from the result; result->estimate says about how many there are.
 * Allocates in CurrentMemoryContext, but nothing for cells: those of "a" are
 * overwritten with what is left of them.
 */
UpgSketchDiff *
upg_sketch_subtract(UpgSketch *a, const UpgSketch *b)
{
	for (int i = 0; i < a->ncells; i++)
	{
		UpgSketchCell *cell = &a->cells[i];

		for (int k = 0; k < 4; k++)
			cell->lanes[k] -= b->cells[i].lanes[k];
		cell->count -= b->cells[i].count;
		cell->check -= b->cells[i].check;
	}
	return take_apart(a->cells, a);
}

/*
 * upg_sketch_cells_for
 *		How many cells give back about so many differences.
 */
int64
upg_sketch_cells_for(double differences)
{
	return (int64) (differences * 1.6 + 256);
}

/*
 * upg_sketch_serialize
 *		The stored form: header, then the cells, all little-endian.
 */
bytea *
upg_sketch_serialize(const UpgSketch *sketch)
{
	Size size = VARHDRSZ + SKETCH_HEADER_SIZE + (Size) SKETCH_CELL_SIZE * sketch->ncells;
	bytea *result = palloc0(size);
	char *p = VARDATA(result);

	SET_VARSIZE(result, size);
	memcpy(p, SKETCH_MAGIC, 8);
	p[8] = sketch->total.header.version;
	p[9] = sketch->total.header.mode;
	p[10] = sketch->key_form;
	upg_store32(p + 12, sketch->total.header.seed_tag);
	upg_store64(p + 16, sketch->total.header.signature);
	upg_store64(p + 24, sketch->key_signature);
	upg_store64(p + 32, sketch->seed);
	upg_store32(p + 40, (uint32) sketch->ncells);
	upg_store32(p + 44, sketch->bucket);
	upg_store32(p + 48, sketch->buckets);
	upg_store64(p + 56, (uint64) sketch->total.rows);
	upg_store64(p + 64, sketch->total.sum.lo);
	upg_store64(p + 72, sketch->total.sum.hi);
	p += SKETCH_HEADER_SIZE;
	for (int i = 0; i < sketch->ncells; i++, p += SKETCH_CELL_SIZE)
	{
		const UpgSketchCell *cell = &sketch->cells[i];

		for (int k = 0; k < 4; k++)
			upg_store64(p + 8 * k, cell->lanes[k]);
		upg_store32(p + 32, cell->count);
		upg_store32(p + 36, cell->check);
	}
	return result;
}

/*
 * upg_sketch_header
 *		Read what a stored sketch says of itself; raises an error on anything else.
 *
 * The result has no cells.
 */
UpgSketch *
upg_sketch_header(const bytea *bytes)
{
	const char *p = VARDATA_ANY(bytes);
	Size length = VARSIZE_ANY_EXHDR(bytes);
	UpgSketch *sketch;
	uint32 ncells;

	if (length < SKETCH_HEADER_SIZE || memcmp(p, SKETCH_MAGIC, 8) != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION), errmsg("invalid sketch"),
			 errdetail("It does not begin with the mark of this version of sketches."),
			 errhint("Make it with upg_table_sketch() of this version of upg.")));
	ncells = upg_load32(p + 40);
	if (ncells < UPG_SKETCH_MIN_CELLS || ncells > UPG_SKETCH_MAX_CELLS ||
		ncells % 3 != 0 ||
		length != SKETCH_HEADER_SIZE + (Size) SKETCH_CELL_SIZE * ncells)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION), errmsg("invalid sketch"),
				 errdetail("It is %zu bytes long and says it has %u cells.", length,
						   ncells)));
	if ((uint8) p[9] > UPG_MODE_SEMANTIC || (uint8) p[10] > UPG_KEY_PRINT ||
		upg_load32(p + 48) == 0 || upg_load32(p + 44) >= upg_load32(p + 48))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION), errmsg("invalid sketch"),
				 errdetail("Its header holds invalid values.")));

	sketch = palloc0(sizeof(UpgSketch));
	sketch->ncells = (int) ncells;
	sketch->seed = upg_load64(p + 32);
	sketch->total.header.known = true;
	sketch->total.header.version = p[8];
	sketch->total.header.mode = p[9];
	sketch->total.header.seed_tag = upg_load32(p + 12);
	sketch->total.header.signature = upg_load64(p + 16);
	sketch->key_form = p[10];
	sketch->key_signature = upg_load64(p + 24);
	sketch->bucket = upg_load32(p + 44);
	sketch->buckets = upg_load32(p + 48);
	sketch->total.rows = (int64) upg_load64(p + 56);
	sketch->total.sum.lo = upg_load64(p + 64);
	sketch->total.sum.hi = upg_load64(p + 72);
	return sketch;
}

static inline void
load_cell(UpgSketchCell *cell, const char *p)
{
	for (int k = 0; k < 4; k++)
		cell->lanes[k] = upg_load64(p + 8 * k);
	cell->count = upg_load32(p + 32);
	cell->check = upg_load32(p + 36);
}

/*
 * upg_sketch_deserialize
 *		Read a stored sketch.
 */
UpgSketch *
upg_sketch_deserialize(const bytea *bytes)
{
	UpgSketch *sketch = upg_sketch_header(bytes);
	const char *p = VARDATA_ANY(bytes) + SKETCH_HEADER_SIZE;

	sketch->cells = alloc_cells(sketch->ncells, &sketch->room);
	memset(sketch->cells, 0, sizeof(UpgSketchCell) * sketch->ncells);
	for (int i = 0; i < sketch->ncells; i++, p += SKETCH_CELL_SIZE)
		load_cell(&sketch->cells[i], p);
	return sketch;
}

/*
 * upg_sketch_subtract_from
 *		The elements in which the set of a stored sketch differs from another.
 *
 * As upg_sketch_subtract(), but those of "b" are overwritten.
 */
UpgSketchDiff *
upg_sketch_subtract_from(const bytea *bytes, UpgSketch *b)
{
	const char *p = VARDATA_ANY(bytes) + SKETCH_HEADER_SIZE;

	for (int i = 0; i < b->ncells; i++, p += SKETCH_CELL_SIZE)
	{
		UpgSketchCell given;
		UpgSketchCell *cell = &b->cells[i];

		load_cell(&given, p);
		for (int k = 0; k < 4; k++)
			cell->lanes[k] = given.lanes[k] - cell->lanes[k];
		cell->count = given.count - cell->count;
		cell->check = given.check - cell->check;
	}
	return take_apart(b->cells, b);
}
