/*
 * conf_table.c — every option of gatherd, in the order in which the manual lists them.
 */
#include "clock.h"
#include "conf_row.h"

#define FIELD(name) offsetof(struct conf, name)
#define KIB INT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define SECONDS(n) ((n)*NSEC_PER_SEC)
#define HOURS(n) SECONDS((n)*INT64_C(3600))

/* sockaddr_un holds 107 characters; the workers' socket in runtime_dir needs some of them. */
#define SOCKET_PATH_MAX 107
#define RUNTIME_DIR_MAX 90

/* clang-format off: a row reads best in one piece */
const struct conf_row conf_table[] = {
	{ "socket", &conf_path, FIELD(socket), .initial = "/run/gatherd/gatherd.sock", .min = 2,
	  .max = SOCKET_PATH_MAX,
	  .help = "The Unix socket that clients talk to: HTTP, JSON lines and the client library, all on this one. "
		  "A socket handed over by systemd takes its place." },
	{ "socket_mode", &conf_mode, FIELD(socket_mode), .initial = "0660",
	  .help = "The socket's permissions. Whoever may write to it may submit jobs." },
	{ "state_dir", &conf_path, FIELD(state_dir), .initial = "/var/lib/gatherd", .min = 2,
	  .max = 4000, .help = "What outlives a restart is kept here. One gatherd uses it at a time." },
	{ "runtime_dir", &conf_path, FIELD(runtime_dir), .initial = "/run/gatherd", .min = 2,
	  .max = RUNTIME_DIR_MAX,
	  .help = "Where the broker and its workers meet. It is made private to gatherd's user." },
	{ "store", &conf_word, FIELD(store), .initial = "sqlite", .words = "sqlite none",
	  .help = "Where jobs outlive the daemon: sqlite is a file in state_dir. With none they are kept in memory alone, "
		  "and submissions that ask for more are refused." },
	{ "store.max_bytes", &conf_bytes, FIELD(store_max_bytes), .initial = "16GiB",
	  .min = 1 * MIB, .max = 1024 * 1024 * GIB,
	  .help = "The store's size on disk. When it is full, finished jobs leave before their time, the oldest first." },
	{ "store.reserve_bytes", &conf_bytes, FIELD(store_reserve_bytes), .initial = "64MiB",
	  .min = 0, .max = 1024 * GIB,
	  .help = "What stays free of the disk. Below it durable jobs are refused with 503, and those that run can finish." },
	{ "store.queue_bytes", &conf_bytes, FIELD(store_queue_bytes), .initial = "64MiB",
	  .min = 64 * KIB, .max = 64 * GIB, .reloadable = true,
	  .help = "Memory for what is on its way to the disk. When it is full, durable jobs are refused with 429 and a time to wait." },
	{ "store.inline_bytes", &conf_bytes, FIELD(store_inline_bytes), .initial = "4KiB", .min = 0,
	  .max = 1 * MIB, .reloadable = true,
	  .help = "Larger arguments of waiting durable jobs are in the store alone, not in memory." },
	{ "key_ttl", &conf_duration, FIELD(key_ttl), .initial = "24h", .min = SECONDS(1),
	  .max = HOURS(24 * 3650),
	  .help = "How long an idempotency key leads to the job that it was first used for." },
	{ "plugins", &conf_paths, FIELD(plugins), .min = 2, .max = 4000,
	  .sample = "/usr/local/lib/gather/greet.so",
	  .help = "Further modules with job types, loaded into each worker beside the built-in ones." },
	{ "worker_dir", &conf_path, FIELD(worker_dir), .initial = GATHER_WORKER_DIR, .min = 2,
	  .max = 4000, .sample = "/usr/lib/gather/workers",
	  .help = "The modules with the built-in job types. By default those that were installed with gatherd." },
	{ "workers", &conf_number, FIELD(workers), .initial = "0", .min = 0, .max = 4095,
	  .help = "How many worker processes run the jobs. 0 is one for each core that gatherd may use, "
		  "and never more than its CPU quota rounded up." },
	{ "pin", &conf_switch, FIELD(pin), .initial = "auto", .words = "auto off",
	  .help = "With auto, each worker stays on a core of its own." },
	{ "capacity.light", &conf_number, FIELD(capacity_light), .initial = "65536", .min = 1,
	  .max = 10000000, .help = "How many light jobs, which only wait, a worker holds at once." },
	{ "capacity.net", &conf_number, FIELD(capacity_net), .initial = "4096", .min = 1,
	  .max = 1000000, .help = "How many network jobs a worker holds at once." },
	{ "capacity.proc", &conf_number, FIELD(capacity_proc), .initial = "64", .min = 1,
	  .max = 100000, .help = "How many jobs with a process of their own a worker holds at once." },
	{ "capacity.cpu", &conf_number, FIELD(capacity_cpu), .initial = "4", .min = 1, .max = 4096,
	  .help = "How many jobs that compute, in threads, a worker holds at once." },
	{ "max_jobs", &conf_number, FIELD(max_jobs), .initial = "1000000", .min = 1,
	  .max = 100000000, .reloadable = true,
	  .help = "How many unfinished jobs there may be. At this number submissions are refused with 429 and a time to wait." },
	{ "args_bytes", &conf_bytes, FIELD(args_bytes), .initial = "1GiB", .min = 1 * MIB,
	  .max = 1024 * GIB, .reloadable = true,
	  .help = "Memory for the arguments of unfinished jobs. When it is full, submissions are refused with 429 and a time to wait." },
	{ "limits.queue_pending", &conf_number, FIELD(limits_queue_pending), .initial = "0",
	  .min = 0, .max = 1000000000, .reloadable = true,
	  .help = "How many jobs may wait in a queue without limits of its own; then more are refused with 429 and a time to "
		  "wait. 0 is any number." },
	{ "limits.key_pending", &conf_number, FIELD(limits_key_pending), .initial = "0", .min = 0,
	  .max = 1000000000, .reloadable = true,
	  .help = "The same for a limit key: for a host, say, that http jobs ask." },
	{ "max_body", &conf_bytes, FIELD(max_body), .initial = "1MiB", .min = 1 * KIB, .max = 1 * MIB,
	  .help = "The largest JSON body of a request, and the longest line of JSON lines. More is refused with 413." },
	{ "max_connections", &conf_number, FIELD(max_connections), .initial = "4096", .min = 1,
	  .max = 1000000, .reloadable = true, .help = "How many clients may be connected at once." },
	{ "finished_bytes", &conf_bytes, FIELD(finished_bytes), .initial = "64MiB", .min = 64 * KIB,
	  .max = 1024 * GIB,
	  .help = "Memory for the results of finished jobs. When it is full, results that were delivered go first, "
		  "then the oldest; asked for later, they are gone (410)." },
	{ "result_ttl", &conf_duration, FIELD(result_ttl), .initial = "24h", .min = SECONDS(1),
	  .max = HOURS(24 * 3650), .help = "How long the result of a job that succeeded is kept." },
	{ "failed_ttl", &conf_duration, FIELD(failed_ttl), .initial = "180d", .min = SECONDS(1),
	  .max = HOURS(24 * 3650),
	  .help = "How long a job that failed is kept, to be looked at and retried." },
	{ "drain_timeout", &conf_duration, FIELD(drain_timeout), .initial = "30s", .min = 0,
	  .max = HOURS(24), .reloadable = true,
	  .help = "How long running jobs may take to finish when gatherd is told to stop." },
	{ "hang.warn", &conf_duration, FIELD(hang_warn), .initial = "2s", .min = NSEC_PER_SEC / 10,
	  .max = HOURS(1), .reloadable = true,
	  .help = "After this long without a sign of life from a process, the log says so." },
	{ "hang.abort", &conf_duration, FIELD(hang_abort), .initial = "10s",
	  .min = NSEC_PER_SEC / 10, .max = HOURS(1), .reloadable = true,
	  .help = "After this long it is ended by SIGABRT. Must be longer than hang.warn." },
	{ "hang.kill", &conf_duration, FIELD(hang_kill), .initial = "12s", .min = NSEC_PER_SEC / 10,
	  .max = HOURS(1), .reloadable = true,
	  .help = "After this long it is ended by SIGKILL. Must be longer than hang.abort." },
	{ "broker_restarts", &conf_number, FIELD(broker_restarts), .initial = "3", .min = 0,
	  .max = 1000000, .reloadable = true,
	  .help = "How often the broker may be started anew within broker_restart_window. Past that gatherd exits, "
		  "so that systemd decides." },
	{ "broker_restart_window", &conf_duration, FIELD(broker_restart_window), .initial = "60s",
	  .min = SECONDS(1), .max = HOURS(24), .reloadable = true,
	  .help = "The time in which broker_restarts counts." },
	{ "worker_restarts", &conf_number, FIELD(worker_restarts), .initial = "5", .min = 0,
	  .max = 1000000, .reloadable = true,
	  .help = "How often a worker may be started anew within worker_restart_window. Past that it waits restart_delay_max each time." },
	{ "worker_restart_window", &conf_duration, FIELD(worker_restart_window), .initial = "10s",
	  .min = SECONDS(1), .max = HOURS(24), .reloadable = true,
	  .help = "The time in which worker_restarts counts." },
	{ "restart_delay", &conf_duration, FIELD(restart_delay), .initial = "100ms",
	  .min = NSEC_PER_SEC / 1000, .max = HOURS(1), .reloadable = true,
	  .help = "How long after its death a process is started anew. Each further death doubles it, until one has lived "
		  "for its whole window." },
	{ "restart_delay_max", &conf_duration, FIELD(restart_delay_max), .initial = "30s",
	  .min = NSEC_PER_SEC / 1000, .max = HOURS(24), .reloadable = true,
	  .help = "The longest that it gets, and how long a worker waits that died more than worker_restarts times." },
	{ "log_level", &conf_word, FIELD(log_level), .initial = "info",
	  .words = "error warning notice info debug", .reloadable = true,
	  .help = "What is logged: this and all that is more serious." },
	{ "webhook.secret_file", &conf_file, FIELD(webhook_secret_file), .initial = "", .min = 2,
	  .max = 4000, .sample = "/etc/gatherd/webhook.secret", .reloadable = true,
	  .help = "The key that webhooks are signed with: whsec_ and 24 to 64 random bytes in base64, on a line. Up to four "
		  "lines while it is being changed. Without it the systemd credential named webhook is read; without "
		  "that they aren't signed." },
	{ "http.allow", &conf_addresses, FIELD(http_allow), .min = 1, .max = 300,
	  .sample = "10.0.0.0/8 localhost:8080",
	  .help = "Private and loopback addresses that http jobs may reach all the same. "
		  "Addresses of cloud metadata services stay shut." },
	{ "http.per_host", &conf_number, FIELD(http_per_host), .initial = "100", .min = 0,
	  .max = 1000000, .reloadable = true,
	  .help = "How many http jobs run at once for one host, and how many jobs for any other limit key, where gather limit "
		  "has set nothing else. 0 is any number." },
};
/* clang-format on */

const size_t conf_table_size = ARRAY_SIZE(conf_table);
