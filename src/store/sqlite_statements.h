/*
 * sqlite_statements.h — the statements that are prepared once.
 *
 * Parameters have the numbers of their table's columns, from 1, but where a statement names others.
 */
#pragma once
#include "sqlite_schema.h"

enum statement {
	DO_BEGIN,
	DO_COMMIT,
	DO_ROLLBACK,
	DO_SAVE_FACTS,
	DO_SAVE_BLOCK,
	DO_DROP_BLOCK,
	DO_INSERT_JOB,
	DO_UPDATE_JOB,   /* an unfinished one */
	DO_UPDATE_ENDED, /* a finished one */
	DO_LOOK_AT_JOB,
	DO_DELETE_JOB,
	DO_READ_JOB,
	DO_LIST_JOBS,
	DO_LOAD_JOBS,
	DO_SAVE_ATTEMPT,
	DO_DELETE_ATTEMPTS,
	DO_READ_ATTEMPTS,
	DO_INSERT_GROUP,
	DO_UPDATE_GROUP,
	DO_DELETE_GROUP,
	DO_READ_GROUP,
	DO_LIST_GROUPS,
	DO_LOAD_GROUPS,
	DO_INSERT_KEY,
	DO_READ_KEY,
	DO_DELETE_KEY,
	DO_FIRST_KEYS,
	DO_SAVE_DOCUMENT,
	DO_DELETE_DOCUMENT,
	DO_LOAD_DOCUMENTS,
	DO_FIRST_EXPIRED_JOBS,
	DO_FIRST_EXPIRED_GROUPS,
	DO_PAGE_COUNT,
	DO_FREE_COUNT,
	DO_VACUUM,
	STATEMENT_COUNT
};

/* Prepare them all. SQLite's result. */
int statements_prepare(sqlite3 *db, sqlite3_stmt *ret_statements[STATEMENT_COUNT]) GA_MUST_CHECK;
