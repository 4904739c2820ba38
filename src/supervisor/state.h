/*
 * state.h — what the supervisor knows; shared by the files of src/supervisor that make it up.
 */
#pragma once
#include "buf.h"
#include "child.h"
#include "conf.h"
#include "listener.h"
#include "options.h"
#include "random.h"
#include <stdbool.h>

/*
 *   types -> serving -> draining -> stopping     phase_move() alone writes it
 *     '---------'-----------------------^
 */
enum phase {
	PHASE_TYPES,    /* the table of job types is being made */
	PHASE_SERVING,  /* broker and workers run, or are about to again */
	PHASE_DRAINING, /* the broker accepts no more and finishes what runs */
	PHASE_STOPPING, /* nobody is started; it ends when the last child has */
};

struct supervisor {
	const struct options *options;
	struct conf *conf;
	enum phase phase;
	int64_t phase_end; /* when the patience of this phase is over, or TIME_NEVER */
	int status;        /* to exit with */
	bool ready;        /* said so to systemd and the others */
	bool reload_wanted;

	struct launch launch;
	struct listeners listeners;
	struct child types, broker, *workers, sacrifice;
	unsigned worker_count;
	struct buf table;           /* what the types role has printed so far */
	uint64_t last_incarnation;  /* numbers differ from those of an earlier supervisor, too */
	struct random random;       /* spreads restarts */
	int64_t sacrifice_earliest; /* when the sacrificial worker may be started again */
	bool sacrifice_next;        /* it is ending, and another one is wanted then */

	int signals;                   /* signalfd */
	int until_eof;                 /* -1: none, or done */
	int ready_fd;                  /* -1: none, or done */
	int lock, runtime_lock;        /* of the directories */
	int64_t watchdog;              /* period of systemd's, ns; 0: none */
	int64_t watchdog_last;         /* when it was told that all is well */
	char told[96];                 /* the STATUS that it knows */
	bool made_state, made_runtime; /* by us: a private one's go at the end */
};

/* phase.c — starting, serving, stopping as a whole. */
void phase_serve(struct supervisor *s, int64_t now); /* the table of types is there */
void phase_drain(struct supervisor *s, int64_t now);
void phase_stop(struct supervisor *s, int status, int64_t patience,
		int64_t now);                       /* no way back; the first status stays */
void phase_tick(struct supervisor *s, int64_t now); /* deadlines */

/* family.c — the children, one by one. */
int family_init(struct supervisor *s) GA_MUST_CHECK;
void family_done(struct supervisor *s);
struct child *family_at(struct supervisor *s, unsigned i); /* the i-th of all children; NULL past the last */
struct child *family_worker(struct supervisor *s, uint32_t slot); /* NULL: there is no such slot */
void family_types(struct supervisor *s, int64_t now);
void family_start(struct supervisor *s, int64_t now);  /* broker and workers */
void family_tick(struct supervisor *s, int64_t now);   /* restarts, pulses, kills that are due */
void family_tell(struct supervisor *s, uint32_t kind); /* all who live */
int64_t family_due(struct supervisor *s);              /* when family_tick() has something to do */
bool family_lives(struct supervisor *s);
void family_kill_adopted(void); /* what children left behind; at the end */

/* death.c */
void family_reap(struct supervisor *s, int64_t now);
void child_retry(struct supervisor *s, struct child *c,
		 int64_t now); /* start it again after its wait, or give up */

/* sacrifice.c — the sacrificial worker. */
/* One that was told to end by the broker is given this long. */
#define REPLACE_PATIENCE (2 * NSEC_PER_SEC)
void sacrifice_wanted(struct supervisor *s, int64_t now); /* the broker asks for it */
void sacrifice_dismissed(struct supervisor *s, uint64_t incarnation, int64_t now);
void sacrifice_unwanted(struct supervisor *s); /* who asked is dead: one that lives goes on with what it has */
/* It is gone, or couldn't be started; `was_ready`: it had registered with the broker. */
void sacrifice_ended(struct supervisor *s, bool was_ready, int64_t now);

/* messages.c */
void messages_read(struct supervisor *s, struct child *c, int64_t now);
void types_read(struct supervisor *s); /* what the types role printed */

/* service.c — towards systemd and whoever started us. */
void service_open(struct supervisor *s);
void service_update(struct supervisor *s); /* READY and STATUS, when they changed */
void service_watchdog(struct supervisor *s, int64_t now);
void service_reloading(bool done);
void service_stopping(const char *status, int64_t patience);

/* reload.c */
void reload_tick(struct supervisor *s);

/* setup.c — what must be there before the first child; errors are logged. The exit status on failure, else 0. */
int setup_all(struct supervisor *s, const struct options *o) GA_MUST_CHECK;
void setup_undo(struct supervisor *s);
