/*
 * task_table.h — the task table: what one loop's tasks do, in a memfd that other processes read.
 *
 * The tasks themselves live in the file: each slot begins with a struct task_row, so that nothing is written twice. The
 * loop's thread is the only writer and takes no lock; whoever reads must not trust a byte of it. A row's `ticket` grows
 * with each wait and its `id` with each task: two copies of a row that are equal show one moment (task_reader.c).
 *
 *	0          struct table_header, then the kinds of waits
 *	sites_at   places that tasks were spawned at
 *	details_at texts that go with waits: the host that is called
 *	chunks_at  chunks of slots; a chunk without tasks is a hole
 *
 * A reference to a row is the low half of its address in the writer, divided by 8; less that of the table's beginning it
 * is its offset in the file, divided by 8. Raise TASK_TABLE_VERSION with every change of a struct.
 */
#pragma once
#include <stdint.h>

#define TASK_TABLE_NAME "libgather-tasks"
#define TASK_TABLE_MAGIC UINT64_C(0x736b736174616721)
#define TASK_TABLE_VERSION 1u

#define TABLE_KINDS 120u
#define TABLE_SITES 4096u
#define TABLE_DETAILS 4096u
#define TABLE_CHUNK_BYTES 65536u
#define TABLE_CHUNKS_MAX 16384u

enum task_state { TASK_NEW, TASK_RUNNING, TASK_PARKED, TASK_READY, TASK_DONE };

/* What row.target is. */
enum task_target {
	TARGET_NONE,
	TARGET_TASK,   /* a reference */
	TARGET_FD,     /* a descriptor */
	TARGET_COUNT,  /* how many are waited for */
	TARGET_DETAIL, /* a text's index */
};

struct task_row {
	uint64_t id;     /* 1, 2, ... in the order of spawning; 0: the slot is free */
	int64_t since;   /* the time of the loop when it entered its state */
	int64_t born;    /* and when it was spawned */
	uint32_t ticket; /* counts its waits */
	uint32_t target;
	uint32_t waiter;        /* reference to a task that waits for this one among others, */
	uint32_t waiter_ticket; /* as long as this is that one's ticket and it is parked; 0: none */
	uint32_t cancels;       /* requests not taken back */
	uint32_t stack_bytes;
	uint16_t site, kind; /* indices; 0: unknown, and not said */
	uint8_t state;       /* enum task_state */
	uint8_t target_is;   /* enum task_target */
	uint16_t spare;      /* 0 */
};
_Static_assert(sizeof(struct task_row) == 56, "readers of this version know it so");

struct table_site {
	char name[56]; /* ended by a NUL, as all texts here */
	char place[72];
	uint64_t tasks;       /* spawned so far */
	uint32_t stack_bytes; /* of the last one; 0: none has run */
	uint32_t used_bytes;  /* the most that one used, in debug mode; 0: not measured */
};
_Static_assert(sizeof(struct table_site) == 144, "readers of this version know it so");

struct table_kind {
	char name[32];
};

struct table_detail {
	char text[64];
};

struct table_header {
	uint64_t magic;
	uint32_t version;
	uint32_t row_bytes; /* from one row to the next in a chunk */
	uint32_t chunk_bytes;
	uint32_t kinds_at, sites_at, details_at, chunks_at;
	uint32_t chunk_count; /* ever used; the only numbers here that grow */
	uint32_t site_count, kind_count, detail_count;
	uint32_t pid, tid; /* as the writer sees them */
	uint32_t running;  /* reference to the task on the CPU; 0: the loop itself */
	uint32_t origin;   /* the reference that the beginning of the file would have */
	uint32_t polling;  /* 1: waits for events, or is about to */
	uint32_t turning;  /* 1: inside of the loop's run */
	uint64_t turns;
	int64_t turn_began; /* the time of the loop */
};
_Static_assert(sizeof(struct table_header) <= 256, "the kinds begin behind it");

#define TABLE_KINDS_AT 256u
#define TABLE_SITES_AT 4096u
#define TABLE_DETAILS_AT (TABLE_SITES_AT + TABLE_SITES * (uint32_t)sizeof(struct table_site))
#define TABLE_CHUNKS_AT 1048576u
_Static_assert(TABLE_KINDS_AT + TABLE_KINDS * sizeof(struct table_kind) <= TABLE_SITES_AT,
	       "no overlap");
_Static_assert(TABLE_DETAILS_AT + TABLE_DETAILS * sizeof(struct table_detail) <= TABLE_CHUNKS_AT,
	       "no overlap");
