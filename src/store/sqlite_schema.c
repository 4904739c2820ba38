#include "sqlite_schema.h"

#define KEY(name)                                                                                  \
	{                                                                                          \
		name, COLUMN_KEY, 0, false                                                         \
	}
#define ONCE(name, sum)                                                                            \
	{                                                                                          \
		name, COLUMN_ONCE, sum, false                                                      \
	}
#define NOW(name, sum)                                                                             \
	{                                                                                          \
		name, COLUMN_NOW, sum, false                                                       \
	}
#define SUM_ONCE(name, place)                                                                      \
	{                                                                                          \
		name, COLUMN_SUM, place, false                                                     \
	}
#define SUM_NOW(name, place)                                                                       \
	{                                                                                          \
		name, COLUMN_SUM, place, true                                                      \
	}

static const struct column job_columns[JOBS_COLUMNS] = {
	[JOBS_SEQUENCE] = KEY("sequence"),
	[JOBS_STATE] = NOW("state", JOBS_SUM),
	[JOBS_EXPIRES] = NOW("expires_wall", JOBS_SUM),
	[JOBS_ACCEPTED] = NOW("accepted_wall", JOBS_SUM),
	[JOBS_TYPE] = ONCE("type", JOBS_ONCE_SUM),
	[JOBS_QUEUE] = ONCE("queue", JOBS_ONCE_SUM),
	[JOBS_TAGS] = ONCE("tags", JOBS_ONCE_SUM),
	[JOBS_ID] = ONCE("id", JOBS_ONCE_SUM),
	[JOBS_PRIORITY] = ONCE("priority", JOBS_ONCE_SUM),
	[JOBS_DURABILITY] = ONCE("durability", JOBS_ONCE_SUM),
	[JOBS_GROUP] = ONCE("group_sequence", JOBS_ONCE_SUM),
	[JOBS_MEMBER] = ONCE("member", JOBS_ONCE_SUM),
	[JOBS_DEADLINE_BOOT] = NOW("deadline_boot", JOBS_SUM),
	[JOBS_DEADLINE_BOOTTIME] = NOW("deadline_boottime", JOBS_SUM),
	[JOBS_DEADLINE_WALL] = NOW("deadline_wall", JOBS_SUM),
	[JOBS_KEY] = ONCE("key", JOBS_ONCE_SUM),
	[JOBS_PAYLOAD] = ONCE("payload", JOBS_ONCE_SUM),
	[JOBS_UNIQUE_KEY] = ONCE("unique_key", JOBS_ONCE_SUM),
	[JOBS_LIMIT_KEY] = ONCE("limit_key", JOBS_ONCE_SUM),
	[JOBS_ONCE_SUM] = SUM_ONCE("once_sum", JOBS_ONCE_SUM),
	[JOBS_CANCELLING] = NOW("cancelling", JOBS_SUM),
	[JOBS_ATTEMPTS] = NOW("attempts", JOBS_SUM),
	[JOBS_FAILURES] = NOW("failures", JOBS_SUM),
	[JOBS_CRASHES] = NOW("crashes", JOBS_SUM),
	[JOBS_TOKEN] = NOW("token", JOBS_SUM),
	[JOBS_INCARNATION] = NOW("incarnation", JOBS_SUM),
	[JOBS_SLOT] = NOW("slot", JOBS_SUM),
	[JOBS_DUE_BOOT] = NOW("due_boot", JOBS_SUM),
	[JOBS_DUE_BOOTTIME] = NOW("due_boottime", JOBS_SUM),
	[JOBS_DUE_WALL] = NOW("due_wall", JOBS_SUM),
	[JOBS_ELAPSED] = NOW("elapsed_us", JOBS_SUM),
	[JOBS_STARTED] = NOW("started_wall", JOBS_SUM),
	[JOBS_FINISHED] = NOW("finished_wall", JOBS_SUM),
	[JOBS_ERROR_SIGNAL] = NOW("error_signal", JOBS_SUM),
	[JOBS_ERROR_CODE] = NOW("error_code", JOBS_SUM),
	[JOBS_ERROR_MESSAGE] = NOW("error_message", JOBS_SUM),
	[JOBS_SUM] = SUM_NOW("now_sum", JOBS_SUM),
	[JOBS_ARGS_SUM] = SUM_ONCE("args_sum", JOBS_ARGS_SUM),
	[JOBS_RESULT_SUM] = SUM_NOW("result_sum", JOBS_RESULT_SUM),
	[JOBS_OPTIONS] = ONCE("options", JOBS_ARGS_SUM),
	[JOBS_ARGS] = ONCE("args", JOBS_ARGS_SUM),
	[JOBS_META] = NOW("meta", JOBS_RESULT_SUM),
	[JOBS_BODY] = NOW("body", JOBS_RESULT_SUM),
};

static const struct column attempt_columns[ATTEMPT_COLUMNS] = {
	[ATTEMPT_SEQUENCE] = KEY("sequence"),
	[ATTEMPT_NUMBER] = KEY("attempt"),
	[ATTEMPT_SLOT] = NOW("slot", ATTEMPT_SUM),
	[ATTEMPT_STARTED] = NOW("started_wall", ATTEMPT_SUM),
	[ATTEMPT_ENDED] = NOW("ended_wall", ATTEMPT_SUM),
	[ATTEMPT_OUTCOME] = NOW("outcome", ATTEMPT_SUM),
	[ATTEMPT_ERROR_SIGNAL] = NOW("error_signal", ATTEMPT_SUM),
	[ATTEMPT_ERROR_CODE] = NOW("error_code", ATTEMPT_SUM),
	[ATTEMPT_ERROR_MESSAGE] = NOW("error_message", ATTEMPT_SUM),
	[ATTEMPT_LOG] = NOW("log", ATTEMPT_SUM),
	[ATTEMPT_SUM] = SUM_NOW("sum", ATTEMPT_SUM),
};

static const struct column group_columns[GROUP_COLUMNS] = {
	[GROUP_SEQUENCE] = KEY("sequence"),
	[GROUP_STATE] = NOW("state", GROUP_SUM),
	[GROUP_EXPIRES] = NOW("expires_wall", GROUP_SUM),
	[GROUP_ACCEPTED] = NOW("accepted_wall", GROUP_SUM),
	[GROUP_ID] = ONCE("id", GROUP_ONCE_SUM),
	[GROUP_PARENT] = ONCE("parent", GROUP_ONCE_SUM),
	[GROUP_MEMBER] = ONCE("member", GROUP_ONCE_SUM),
	[GROUP_SPEC] = ONCE("spec", GROUP_ONCE_SUM),
	[GROUP_ONCE_SUM] = SUM_ONCE("once_sum", GROUP_ONCE_SUM),
	[GROUP_FINISHED] = NOW("finished_wall", GROUP_SUM),
	[GROUP_PROGRESS] = NOW("progress", GROUP_SUM),
	[GROUP_ERROR] = NOW("error", GROUP_SUM),
	[GROUP_MEMBERS] = NOW("members", GROUP_SUM),
	[GROUP_SUM] = SUM_NOW("now_sum", GROUP_SUM),
};

static const struct column key_columns[KEY_COLUMNS] = {
	[KEY_SEQUENCE] = KEY("sequence"),
	[KEY_KEY] = ONCE("key", KEY_SUM),
	[KEY_PAYLOAD] = ONCE("payload", KEY_SUM),
	[KEY_ID] = ONCE("id", KEY_SUM),
	[KEY_EXPIRES] = ONCE("expires_wall", KEY_SUM),
	[KEY_SUM] = SUM_ONCE("sum", KEY_SUM),
};

static const struct column document_columns[DOCUMENT_COLUMNS] = {
	[DOCUMENT_KIND] = KEY("kind"),
	[DOCUMENT_NAME] = KEY("name"),
	[DOCUMENT_BODY] = NOW("body", DOCUMENT_SUM),
	[DOCUMENT_SUM] = SUM_NOW("sum", DOCUMENT_SUM),
};

static const struct column block_columns[BLOCK_COLUMNS] = {
	[BLOCK_NUMBER] = KEY("block"),
	[BLOCK_UNFINISHED] = NOW("unfinished", BLOCK_SUM),
	[BLOCK_SUM] = SUM_NOW("sum", BLOCK_SUM),
};

static const struct column boot_columns[BOOT_COLUMNS] = {
	[BOOT_NUMBER] = KEY("number"),
	[BOOT_ID] = ONCE("boot_id", BOOT_SUM),
	[BOOT_WALL] = ONCE("first_wall", BOOT_SUM),
	[BOOT_BOOTTIME] = ONCE("first_boottime", BOOT_SUM),
	[BOOT_SUM] = SUM_ONCE("sum", BOOT_SUM),
};

static const struct column fact_columns[FACT_COLUMNS] = {
	[FACT_ONE] = KEY("one"),
	[FACT_STORE_ID] = NOW("store_id", FACT_SUM),
	[FACT_CREATED] = NOW("created_wall", FACT_SUM),
	[FACT_SCHEMA_SUM] = NOW("schema_sum", FACT_SUM),
	[FACT_COMMIT_SEQ] = NOW("commit_seq", FACT_SUM),
	[FACT_LAST_SEQUENCE] = NOW("last_sequence", FACT_SUM),
	[FACT_LAST_WALL] = NOW("last_wall", FACT_SUM),
	[FACT_UNFINISHED] = NOW("unfinished", FACT_SUM),
	[FACT_SUCCEEDED] = NOW("succeeded", FACT_SUM),
	[FACT_FAILED] = NOW("failed", FACT_SUM),
	[FACT_CANCELLED] = NOW("cancelled", FACT_SUM),
	[FACT_EXPIRED] = NOW("expired", FACT_SUM),
	[FACT_REMOVED_EARLY] = NOW("removed_early", FACT_SUM),
	[FACT_SUM] = SUM_NOW("sum", FACT_SUM),
};

const struct table table_jobs = { "jobs", 1, job_columns, JOBS_COLUMNS };
const struct table table_attempts = { "attempts", 2, attempt_columns, ATTEMPT_COLUMNS };
const struct table table_groups = { "groups", 3, group_columns, GROUP_COLUMNS };
const struct table table_keys = { "keys", 4, key_columns, KEY_COLUMNS };
const struct table table_documents = { "documents", 5, document_columns, DOCUMENT_COLUMNS };
const struct table table_blocks = { "blocks", 6, block_columns, BLOCK_COLUMNS };
const struct table table_boots = { "boots", 7, boot_columns, BOOT_COLUMNS };
const struct table table_facts = { "facts", 8, fact_columns, FACT_COLUMNS };
const struct table *const store_tables[] = { &table_facts,     &table_boots,    &table_blocks,
					     &table_documents, &table_keys,     &table_groups,
					     &table_jobs,      &table_attempts, NULL };

/*
 * No views: SQLite's integrity_check (3.40) takes a view for the end of what it is to check, when it meets one first, and
 * then doesn't look at the list of free pages. docs/store-views.sql has them for who reads a database.
 */
static const char first_schema[] =
	"CREATE TABLE facts(one INTEGER PRIMARY KEY CHECK(one=1), store_id BLOB, created_wall INTEGER,"
	" schema_sum INTEGER, commit_seq INTEGER, last_sequence INTEGER, last_wall INTEGER,"
	" unfinished INTEGER, succeeded INTEGER, failed INTEGER, cancelled INTEGER, expired INTEGER,"
	" removed_early INTEGER, sum INTEGER);"
	"CREATE TABLE boots(number INTEGER PRIMARY KEY, boot_id TEXT, first_wall INTEGER,"
	" first_boottime INTEGER, sum INTEGER);"
	"CREATE TABLE blocks(block INTEGER PRIMARY KEY, unfinished INTEGER, sum INTEGER);"
	"CREATE TABLE documents(kind TEXT, name TEXT, body TEXT, sum INTEGER,"
	" PRIMARY KEY(kind, name)) WITHOUT ROWID;"
	"CREATE TABLE keys(sequence INTEGER PRIMARY KEY, key TEXT UNIQUE, payload BLOB, id BLOB,"
	" expires_wall INTEGER, sum INTEGER);"
	"CREATE TABLE groups(sequence INTEGER PRIMARY KEY, state INTEGER, expires_wall INTEGER,"
	" accepted_wall INTEGER, id BLOB, parent INTEGER, member INTEGER, spec TEXT, once_sum INTEGER,"
	" finished_wall INTEGER, progress TEXT, error TEXT, members BLOB, now_sum INTEGER);"
	"CREATE INDEX groups_unfinished ON groups(sequence) WHERE expires_wall IS NULL;"
	"CREATE INDEX groups_expiry ON groups(expires_wall) WHERE expires_wall IS NOT NULL;"
	"CREATE TABLE jobs(sequence INTEGER PRIMARY KEY, state INTEGER, expires_wall INTEGER,"
	" accepted_wall INTEGER, type TEXT, queue TEXT, tags TEXT, id BLOB, priority INTEGER,"
	" durability INTEGER, group_sequence INTEGER, member INTEGER, deadline_boot INTEGER,"
	" deadline_boottime INTEGER, deadline_wall INTEGER, key TEXT, payload BLOB, unique_key TEXT,"
	" limit_key TEXT, once_sum INTEGER, cancelling INTEGER, attempts INTEGER, failures INTEGER,"
	" crashes INTEGER, token INTEGER, incarnation INTEGER, slot INTEGER, due_boot INTEGER,"
	" due_boottime INTEGER, due_wall INTEGER, elapsed_us INTEGER, started_wall INTEGER,"
	" finished_wall INTEGER, error_signal INTEGER, error_code TEXT, error_message TEXT,"
	" now_sum INTEGER, args_sum INTEGER, result_sum INTEGER, options TEXT, args TEXT, meta TEXT,"
	" body BLOB);"
	"CREATE INDEX jobs_expiry ON jobs(expires_wall) WHERE expires_wall IS NOT NULL;"
	"CREATE TABLE attempts(sequence INTEGER, attempt INTEGER, slot INTEGER, started_wall INTEGER,"
	" ended_wall INTEGER, outcome INTEGER, error_signal INTEGER, error_code TEXT,"
	" error_message TEXT, log TEXT, sum INTEGER, PRIMARY KEY(sequence, attempt)) WITHOUT ROWID;";

const char *const store_migrations[STORE_SCHEMA_VERSION] = { first_schema };
