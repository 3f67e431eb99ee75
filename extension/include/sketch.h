/*-------------------------------------------------------------------------
 *
 * sketch.h
 *		Sketches: sums that give back the rows in which two sets differ.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/sketch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_SKETCH_H
#define UPG_SKETCH_H

#include "canonical.h"
#include "checksum.h"

/* Cells of a sketch: three partitions of equal size. */
#define UPG_SKETCH_DEFAULT_CELLS 4096
#define UPG_SKETCH_MIN_CELLS     48
#define UPG_SKETCH_MAX_CELLS     (3 * 1024 * 1024)

/* Differences a sketch of "cells" cells can be trusted to give back. */
#define UPG_SKETCH_CAPACITY(cells) ((cells) / 4 * 3)

/*
 * One element of a set: the key of a row (or its fingerprint, or the row's own
 * hash when there is no key) and the hash of the row.
 */
typedef struct UpgElement
{
	UpgSum key;
	UpgSum hash;
} UpgElement;

/*
 * Each field is a sum over the elements that fall into the cell.  A cell takes
 * one line of the processor's cache, and is never spread over two.
 */
#define UPG_SKETCH_LINE 64

typedef struct UpgSketchCell
{
	uint64 lanes[4]; /* key low, key high, hash low, hash high */
	uint32 count;
	uint32 check;
	uint64 unused[3];
} UpgSketchCell;

/* How the key of an element is made from the key columns. */
typedef enum UpgKeyForm
{
	UPG_KEY_NONE = 0,   /* no key: the hash of the row */
	UPG_KEY_DIRECT = 1, /* the values themselves, at most 16 bytes */
	UPG_KEY_PRINT = 2   /* a 128-bit fingerprint of the values */
} UpgKeyForm;

typedef struct UpgSketch
{
	UpgChecksum total;    /* of all rows, or of those of the bucket */
	uint64 key_signature; /* digest of the types of the key columns */
	UpgKeyForm key_form;
	uint32 bucket; /* only keys of this bucket, of "buckets" */
	uint32 buckets;
	uint64 seed;
	int ncells;
	UpgSketchCell *cells;
	void *room; /* what was allocated for the cells */
} UpgSketch;

/* A decoded difference: "copies" more of the element in the first set. */
typedef struct UpgDifference
{
	UpgElement element;
	int32 copies;
} UpgDifference;

/* Result of taking two sketches apart. */
typedef struct UpgSketchDiff
{
	UpgDifference *items;
	int nitems;
	int left;             /* cells that could not be taken apart */
	double estimate;      /* of the number of differing elements */
	UpgSketchCell *cells; /* what is left of the difference */
} UpgSketchDiff;

/* Which cells, and which check, an element has. */
typedef struct UpgSketchPlace
{
	uint32 cell[3];
	uint32 check;
} UpgSketchPlace;

/*
 * The hash of a row is as good as random, and two elements with one hash are
 * one, because the key is among the columns that are hashed.  So its bits choose
 * the cells, one in each of three parts of "part" cells.  The check must not be a sum when hashes are summed, hence the
 * multiplications and shifts in turn.
 */
static inline UpgSketchPlace
upg_sketch_place(UpgSum hash, uint32 part)
{
	uint64 mix = hash.lo ^ (hash.hi << 32 | hash.hi >> 32);
	UpgSketchPlace place;

	mix = (mix ^ (mix >> 33)) * UINT64CONST(0xff51afd7ed558ccd);
	mix = (mix ^ (mix >> 33)) * UINT64CONST(0xc4ceb9fe1a85ec53);

	place.cell[0] = (uint32) (((hash.lo & 0xffffffff) * part) >> 32);
	place.cell[1] = part + (uint32) (((hash.lo >> 32) * part) >> 32);
	place.cell[2] = 2 * part + (uint32) (((hash.hi & 0xffffffff) * part) >> 32);
	place.check = (uint32) (mix >> 32);
	return place;
}

/* Which of "buckets" parts of a set a key belongs to. */
static inline uint32
upg_sketch_bucket(UpgSum key, uint64 seed, uint32 buckets)
{
	uint64 mix = (key.lo ^ (key.hi * UINT64CONST(0x9E3779B97F4A7C15)) ^ seed) *
				 UINT64CONST(0xD6E8FEB86659FD93);

	mix ^= mix >> 32;
	mix *= UINT64CONST(0xD6E8FEB86659FD93);
	return (uint32) (((mix >> 32) * buckets) >> 32);
}

/*
 * Elements on their way into a sketch.  Their cells were asked for when they came
 * and are written some elements later, so that their way through the caches is
 * not waited for but passes while other rows are being hashed.
 */
#define UPG_SKETCH_QUEUE 16

typedef struct UpgQueuedElement
{
	UpgElement element;
	uint32 count; /* 1 */
	uint32 check;
	UpgSketchCell *first;
	UpgSketchCell *second;
	UpgSketchCell *third;
} UpgQueuedElement;

typedef struct UpgSketchQueue
{
	UpgSketchCell *cells;
	uint32 part; /* a third of the cells */
	uint32 next; /* place in "elements" of the next one */
	UpgQueuedElement elements[UPG_SKETCH_QUEUE];
	UpgSketchCell nothing; /* written in place of elements that never came */
} UpgSketchQueue;

static inline bool
upg_sketch_cell_is_empty(const UpgSketchCell *cell)
{
	return cell->count == 0 && cell->check == 0 && cell->lanes[0] == 0 &&
		   cell->lanes[1] == 0 && cell->lanes[2] == 0 && cell->lanes[3] == 0;
}

/* in sketch.c */
extern int upg_sketch_round_cells(int64 cells);
extern UpgSketch *upg_sketch_create(int ncells, uint64 seed);
extern void upg_sketch_begin(UpgSketchQueue *queue, UpgSketch *sketch);
extern void upg_sketch_add(UpgSketchQueue *queue, UpgSum key, UpgSum hash);
extern void upg_sketch_end(UpgSketchQueue *queue);
extern void upg_sketch_merge_cells(UpgSketch *sketch, const UpgSketchCell *cells);
extern const char *upg_sketch_conflict(const UpgSketch *a, const UpgSketch *b);
extern UpgSketchDiff *upg_sketch_subtract(UpgSketch *a, const UpgSketch *b);
extern bytea *upg_sketch_serialize(const UpgSketch *sketch);
extern UpgSketch *upg_sketch_header(const bytea *bytes);
extern UpgSketch *upg_sketch_deserialize(const bytea *bytes);
extern UpgSketchDiff *upg_sketch_subtract_from(const bytea *bytes, UpgSketch *b);
extern int64 upg_sketch_cells_for(double differences);
extern void upg_sketch_free(UpgSketch *sketch);

#endif /* UPG_SKETCH_H */
